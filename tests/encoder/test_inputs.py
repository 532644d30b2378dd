"""The same games are found in whatever they come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoder.inputs import Inputs
from encoder.read import KINDS, Kind
from encoder.sources import open_source
from encoder.tasks import Task, tasks
from tests.support.archives import COMPRESS, SUFFIXES, write_archive
from tests.support.parsed_v2 import write_parsed_v2
from wm.errors import BadConfig, BadData, InputMissing
from wm.games.game import Reason, Rejected
from wm.store import open_store


def found(address: Path | str, game: str, scratch: Path) -> list[Task]:
    scratch.mkdir(exist_ok=True)
    source = open_source(str(address), game, scratch)
    with Inputs(source, KINDS[game], scratch) as inputs:
        return list(tasks(inputs))


def content(task: Task) -> bytes | Rejected:
    if isinstance(task.content, Path):
        return task.content.read_bytes()
    return task.content() if callable(task.content) else task.content


def by_name(address: Path | str, game: str, scratch: Path) -> dict[str, bytes | Rejected]:
    return {t.input: content(t) for t in found(address, game, scratch) if t.kind is not None}


@pytest.fixture
def folder(tmp_path: Path, replays: list[Path]) -> Path:
    folder = tmp_path / "games"
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / "b" / "deep" / "1.slp").write_bytes(replays[0].read_bytes())
    (folder / "a.slp").write_bytes(replays[1].read_bytes())
    (folder / "readme.txt").write_text("no game")
    (folder / "._a.slp").write_text("what a Mac leaves behind")
    return folder


def test_a_folder_with_all_below_it(folder: Path, replays: list[Path], tmp_path: Path) -> None:
    named = [(t.input, t.kind) for t in found(folder, "melee", tmp_path / "s")]
    assert named == [
        ("._a.slp", None),
        ("a.slp", Kind.SLP),
        ("b/deep/1.slp", Kind.SLP),
        ("readme.txt", None),
    ]
    assert by_name(folder, "melee", tmp_path / "t") == {
        "a.slp": replays[1].read_bytes(),
        "b/deep/1.slp": replays[0].read_bytes(),
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_archives_in_a_folder(suffix: str, replays: list[Path], pgn: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    files = {"./x/1.slp": replays[0].read_bytes(), "2.slp": replays[1].read_bytes(), "g.pgn": pgn}
    write_archive(folder / f"all{suffix}", files)
    melee = by_name(folder, "melee", tmp_path / "s")
    names = (f"all{suffix}/x/1.slp", f"all{suffix}/2.slp")
    assert melee == dict(zip(names, list(files.values())[:2], strict=True))
    assert by_name(folder, "chess", tmp_path / "t") == {f"all{suffix}/g.pgn": pgn}


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_one_compressed_file(suffix: str, pgn: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"GAMES.PGN{suffix}"
    path.write_bytes(COMPRESS.get(suffix, bytes)(pgn))
    assert by_name(path, "chess", tmp_path / "s") == {path.name: pgn}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_file_that_is_cut_off_fails(suffix: str, pgn: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"games.pgn{suffix}"
    path.write_bytes(COMPRESS[suffix](pgn)[:-7])
    with pytest.raises(BadData, match=rf"games\.pgn{suffix} is cut off or damaged after \d pieces"):
        found(path, "chess", tmp_path / "s")


def test_a_broken_member_of_a_zip_is_one_verdict(replays: list[Path], tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "x.zip", {"1.slp": replays[0].read_bytes(), "2.slp": replays[1].read_bytes()}
    )
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    first, second = by_name(path, "melee", tmp_path / "s").values()
    assert isinstance(first, Rejected)
    assert (first.reason, first.detail[:14]) == (Reason.UNREADABLE, "cannot be read")
    assert second == replays[1].read_bytes()


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.gz", ".7z"])
def test_parsed_v2_rows_find_their_games(suffix: str, replays: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "games" / "season 1"
    metas = write_parsed_v2(folder, replays[:3])
    (folder / "games" / ("0" * 32)).write_bytes(b"not in the table")
    files = {
        str(p.relative_to(folder.parent)): p.read_bytes()
        for p in sorted(folder.rglob("*"))  # games/ before meta.json
        if p.is_file()
    }
    source = write_archive(tmp_path / f"all{suffix}", files) if suffix else folder.parent
    rows = {
        t.input.rpartition("/")[2]: t.meta
        for t in found(source, "melee", tmp_path / "s")
        if t.kind == Kind.PARSED_V2
    }
    assert rows == {m["slp_md5"]: m for m in metas} | {"0" * 32: {}}


@pytest.mark.parametrize(
    "text", ["[", '[{"slp_md5": "a"}, {"slp', "{}", '[{"name": 1}]', "[1]", "x"]
)
def test_a_broken_table_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "games").mkdir(parents=True)
    (tmp_path / "in" / "games" / ("0" * 32)).touch()
    (tmp_path / "in" / "meta.json").write_text(text)
    with pytest.raises(BadData, match=r"meta\.json is not a whole table of parsed-v2"):
        found(tmp_path / "in", "melee", tmp_path / "s")


def test_a_bucket(replays: list[Path], pgn: bytes, s3_url: str, tmp_path: Path) -> None:
    bucket = open_store(s3_url)
    files = {"a/1.slp": replays[0].read_bytes(), "2.slp": replays[1].read_bytes()}
    archive = write_archive(tmp_path / "more.tar.gz", {"3.slp": replays[2].read_bytes()})
    for name, data in {**files, "more.tar.gz": archive.read_bytes(), "g.pgn": pgn}.items():
        bucket.put(name, data)
    assert by_name(s3_url, "melee", tmp_path / "s") == {
        **files, "more.tar.gz/3.slp": replays[2].read_bytes(),
    }  # fmt: skip
    assert by_name(f"{s3_url}/g.pgn", "chess", tmp_path / "t") == {"g.pgn": pgn}
    assert not list((tmp_path / "s" / "source").iterdir())


def test_made_games_are_the_same_every_time(tmp_path: Path) -> None:
    first = by_name("made:2?seed=3", "chess", tmp_path / "s")
    assert first == by_name("made:2?seed=3", "chess", tmp_path / "t")
    assert first != by_name("made:2", "chess", tmp_path / "u")
    assert len(by_name("made:2?seed=3", "melee", tmp_path / "v")) == 2


@pytest.mark.parametrize("address", ["made:", "made:x", "made:3?speed=1", "made:3?seed=x"])
def test_addresses_that_are_none(address: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="is no source"):
        open_source(address, "chess", tmp_path)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"there is no .*nowhere"):
        open_source(str(tmp_path / "nowhere"), "chess", tmp_path)
