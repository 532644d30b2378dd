"""The inventory says beforehand what an encode stage would accept and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoder.inventory import inventory
from tests.support.archives import write_archive
from tests.support.parsed_v2 import write_parsed_v2
from wm.errors import InputMissing


def test_everything_at_once(replays: list[Path], pgn: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "a.slp").write_bytes(replays[0].read_bytes())
    (folder / "b.slp").write_bytes(replays[0].read_bytes())
    (folder / "bad.slp").write_bytes(b"x")
    (folder / "games.pgn").write_bytes(pgn + b'[Event "bad"]\n\n1. e4 e5 2. Ke4 1-0\n\n')
    write_parsed_v2(folder / "parsed", replays[1:3])
    broken = write_archive(folder / "z.tar.gz", {"1.slp": replays[3].read_bytes()})
    broken.write_bytes(broken.read_bytes()[:-50])
    (tmp_path / "notes.txt").write_text("nothing")
    seen: list[int] = []
    found = inventory([folder, tmp_path / "notes.txt"], workers=1, progress=seen.append)

    assert (found.files, found.ignored) == (9, 2)  # notes and meta.json
    assert found.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    kinds = {name: (kind.files, kind.games) for name, kind in found.kinds.items()}
    assert kinds == {"slp": (3, 1), "parsed-v2": (2, 2), "pgn": (1, kinds["pgn"][1])}
    assert found.accepted == 3 + kinds["pgn"][1]
    assert found.rejects["illegal_move"] == 1
    assert found.rejects["unreadable"] == 1
    assert found.rejects["duplicate"] >= 1
    assert found.accepted + sum(found.rejects.values()) == 3 + 2 + 41 == seen[-1]
    assert found.examples["unreadable"][0].startswith("bad.slp: ")
    (version,) = found.versions.items()
    assert version[1] == 2
    (damaged,) = found.damaged
    assert damaged.startswith("z.tar.gz is cut off or damaged: ")
    text = found.summary()
    for part in ("9 files", "slp: 3 files, 1 games", "rejected, illegal_move: 1", damaged):
        assert part in text


def test_real_replays(shared_data: Path) -> None:
    found = inventory([shared_data / "slp"], workers=1)
    assert found.kinds["slp"].files == 19
    assert found.accepted == 7
    assert found.rejects == {"unsupported_version": 10, "unreadable": 1, "players": 1}
    assert found.versions["1.7.1"] == 4
    first, *_, last = found.versions
    assert (first, last) == ("1.0.0", "3.16.0")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="there is no"):
        inventory([tmp_path / "none"], workers=1)
