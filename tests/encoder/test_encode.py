"""Raw games in, a verified data set out; whatever is wrong with an input costs that input."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder import fingerprint
from encoder.pieces import PIECE
from encoder.read import GameReader
from tests.support.archives import COMPRESS, write_archive
from tests.support.parsed_v2 import write_parsed_v2
from tests.support.readers import BadGame, BadReplays
from wm.artifacts.dataset import Dataset, load_manifest, open_dataset
from wm.errors import BadData, InputMissing, Preempted
from wm.games.chess.options import ChessOptions
from wm.games.chess.pgn import read_pgn
from wm.games.game import Game, Reason
from wm.games.melee.options import MeleeOptions
from wm.games.melee.slp import read_slp
from wm.stage.memory import OutOfMemory
from wm.store import Store

Run = Callable[..., dict[str, Any]]
READER = GameReader(MeleeOptions(), ChessOptions())


def opened(store: Store, result: dict[str, Any], tmp_path: Path) -> Dataset:
    return open_dataset(store, result["dataset"], tmp_path / "cache")


def rows_of(store: Store, result: dict[str, Any]) -> list[dict[str, Any]]:
    manifest = load_manifest(store, result["dataset"])
    text = store.get(manifest.rejects_file.key, sha256=manifest.rejects_file.sha256)
    return [json.loads(line) for line in text.splitlines()]


def games_of(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Identity -> columns and facts of a game."""
    games = {}
    for split in dataset.splits.values():
        for shard in split.shards:
            for g, (start, stop) in enumerate(
                zip(shard.offsets[:-1], shard.offsets[1:], strict=True)
            ):
                rows = {name: values[start:stop] for name, values in shard.rows.items()}
                facts = {name: int(values[g]) for name, values in shard.facts.items()}
                games[bytes(shard.identity[g]).hex()] = {"rows": rows, "facts": facts}
    return games


def folder_of(tmp_path: Path, replays: list[Path]) -> Path:
    folder = tmp_path / "replays"
    folder.mkdir()
    for path in replays:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_replays_come_through_unchanged(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    result = run("melee", replays[0].parent)
    dataset = opened(store, result, tmp_path)
    found = games_of(dataset)
    for path in replays:
        game = read_slp(path, options=MeleeOptions())
        packed = game.rows["frames"].view(np.uint8).reshape(len(game), 104)
        np.testing.assert_array_equal(found[game.identity]["rows"]["frames"], packed)
        assert found[game.identity]["facts"] == game.facts
    assert len(found) == sum(result["games"].values()) == 12
    assert all(result["games"].values()), "no split may be empty"
    assert dataset.manifest.inputs.count == 12
    assert dataset.manifest.inputs.bytes == sum(p.stat().st_size for p in replays)
    verdicts = [(row["input"], row["verdict"]) for row in rows_of(store, result)]
    assert verdicts == [(path.name, "accepted") for path in replays]


@pytest.mark.parametrize("suffix", ["", ".zst"])
def test_chess_games_come_through_unchanged(
    run: Run, store: Store, pgn: bytes, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"games.pgn{suffix}"
    path.write_bytes(COMPRESS.get(suffix, bytes)(pgn))
    result = run("chess", path)
    found = games_of(opened(store, result, tmp_path))
    with (tmp_path / "plain").open("w+b") as stream:
        stream.write(pgn)
        stream.seek(0)
        wanted = [g for g in read_pgn(stream, options=ChessOptions()) if isinstance(g, Game)]
    assert len(wanted) > 30
    for game in wanted:
        for name, values in game.rows.items():
            np.testing.assert_array_equal(found[game.identity]["rows"][name], values)
        assert found[game.identity]["facts"] == game.facts
    rejected = sum(result["rejects"].values())
    assert rows_of(store, result)[-1] == {
        "input": path.name, "verdict": "read", "games": 40,
        "accepted": 40 - rejected, "rejected": rejected,
    }  # fmt: skip


def test_parsed_v2_says_what_it_lacks(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    write_parsed_v2(tmp_path / "in", replays[:3], stage=False)
    result = run("melee", tmp_path / "in")
    manifest = load_manifest(store, result["dataset"])
    assert manifest.accepted == 3
    assert manifest.missing == {"frame_id": 3, "percent": 3, "port": 3, "stage": 3}


def test_forty_damaged_replays_cost_forty_files(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, replays)
    rng = np.random.default_rng(0)
    for number in range(40):
        data = bytearray(replays[number % 12].read_bytes())
        if number % 4 == 0:
            data = data[: int(len(data) * rng.random())]
        elif number % 4 == 1:
            data[:200] = rng.bytes(200)
        elif number % 4 == 2:
            data[300:600] = rng.bytes(300)
        else:
            data = bytearray(rng.bytes(1000))
        (folder / f"damaged-{number:02d}.slp").write_bytes(data)
    result = run("melee", folder)
    assert sum(result["games"].values()) == 12
    assert sum(result["rejects"].values()) == 40
    rejected = [row["input"] for row in rows_of(store, result) if row["verdict"] == "rejected"]
    assert rejected == [f"damaged-{number:02d}.slp" for number in range(40)]


def test_readers_that_crash_hang_or_lie(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, replays[:3])
    for name in ("abort", "garbage", "hang", "infinite", "panic"):
        (folder / f"{name}.slp").write_bytes(b"x")
    result = run("melee", folder, reader=BadReplays(READER), timeout_s=4)
    assert sum(result["games"].values()) == 3
    reasons = {row["input"]: row["reason"] for row in rows_of(store, result) if "reason" in row}
    assert reasons == {
        "abort.slp": "parser_panic",
        "garbage.slp": "unreadable",
        "hang.slp": "timeout",
        "infinite.slp": "not_finite",
        "panic.slp": "parser_panic",
    }


def test_memory_that_runs_out_is_no_verdict_on_an_input(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    """The bytes of a data set must not depend on how much memory its encoder had."""
    folder = folder_of(tmp_path, replays[:3])
    (folder / "killed.slp").write_bytes(b"x")
    with pytest.raises(OutOfMemory, match=r"out of memory: .* twice over .*killed\.slp"):
        run("melee", folder, reader=BadReplays(READER))
    assert not [e.key for e in store.list("datasets/") if e.key.endswith("manifest.json")]


def test_one_game_that_breaks_its_reader_costs_one_game(
    run: Run, store: Store, pgn: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "games.pgn"
    path.write_bytes(pgn.replace(b'[Round "17"]', b'[Round "poison"]'))
    whole = sum(run("chess", path)["games"].values())
    result = run("chess", path, name="other", reader=BadGame(READER, b"poison"))
    assert sum(result["games"].values()) == whole - 1
    (row,) = [row for row in rows_of(store, result) if row.get("reason") == Reason.PARSER_PANIC]
    assert (row["input"], row["game"]) == ("games.pgn", 17)


def test_rejects_name_game_and_line_across_pieces(
    run: Run, store: Store, pgn: bytes, tmp_path: Path
) -> None:
    head = pgn.partition(b"\n\n[Event ")[0]
    filler = (head + b"\n\n") * (2 * PIECE // len(head))
    bad = b'[Event "bad"]\n\n1. e4 e5 2. Ke4 1-0\n\n'
    path = tmp_path / "games.pgn"
    path.write_bytes(filler + bad + pgn)
    result = run("chess", path)
    (row,) = [row for row in rows_of(store, result) if row.get("reason") == Reason.ILLEGAL_MOVE]
    assert row["game"] == filler.count(b"[Event ") + 1
    assert row["detail"].startswith(f"line {filler.count(bytes([10])) + 1}: ")


def test_the_same_game_twice_is_one_game(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, replays[:4])
    (folder / "copy.slp").write_bytes(replays[2].read_bytes())
    result = run("melee", folder)
    assert (sum(result["games"].values()), result["rejects"]) == (4, {"duplicate": 1})
    (row,) = [row for row in rows_of(store, result) if row["verdict"] == "rejected"]
    assert row["input"] == replays[2].name  # "copy.slp" comes before "made-..."


def test_a_hit_reads_no_game(
    run: Run, store: Store, replays: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, replays[:3])
    first = run("melee", folder)

    def refuse(*_: object) -> str:
        raise AssertionError("a file was read")

    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "file_sha256", refuse)
        second = run("melee", folder, reader=refuse)
    assert second == first | {"hit": True}
    assert run("melee", folder, timeout_s=99, workers=2)["hit"], "these decide no bytes"
    other = run("melee", folder, split={"salt": "other"})
    assert not other["hit"]
    assert other["fingerprint"] != first["fingerprint"]


def test_a_changed_or_renamed_or_added_file_is_another_data_set(
    run: Run, replays: list[Path], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, replays[:3])
    found = [run("melee", folder)]
    (folder / replays[0].name).write_bytes(replays[5].read_bytes())
    found.append(run("melee", folder))
    (folder / "new.slp").write_bytes(replays[6].read_bytes())
    found.append(run("melee", folder))
    assert [result["hit"] for result in found] == [False] * 3
    assert len({result["fingerprint"] for result in found}) == 3


def test_the_same_files_elsewhere_are_a_hit(run: Run, replays: list[Path], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, replays[:3])
    run("melee", folder)
    folder.rename(tmp_path / "moved")
    assert run("melee", tmp_path / "moved")["hit"]


def test_made_games_are_a_hit_without_making_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("chess", "made:12?seed=5")
    assert sum(first["games"].values()) + sum(first["rejects"].values()) == 12
    monkeypatch.setattr("encoder.sources.MadeSource._make", None)
    assert run("chess", "made:12?seed=5") == first | {"hit": True}


def test_a_hit_on_a_damaged_shard_names_it(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, replays[:3])
    result = run("melee", folder)
    shard = next(load_manifest(store, result["dataset"]).shards())
    data = bytearray(store.get(shard.key))
    data[-1] ^= 1
    store.put(shard.key, bytes(data))
    with pytest.raises(BadData, match=r"train-00000\.safetensors differs from its manifest"):
        run("melee", folder)


def test_no_usable_game_fails_with_the_reasons(run: Run, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.slp").write_bytes(b"nothing")
    (folder / "x.txt").touch()
    with pytest.raises(
        BadData, match="was accepted: 3 unreadable; 1 other files passed over"
    ) as error:
        run("melee", folder)
    rows = store.get(error.value.hint.split()[0]).splitlines()
    assert Counter(json.loads(row)["verdict"] for row in rows) == {"rejected": 3, "ignored": 1}


def test_sources_without_games(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="holds no file"):
        run("melee", tmp_path / "empty")
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(BadData, match="was accepted: it holds none; 1 other files passed over"):
        run("melee", tmp_path / "empty")


def test_a_truncated_archive_publishes_nothing(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    files = {path.name: path.read_bytes() for path in replays[:4]}
    path = write_archive(tmp_path / "replays.tar.gz", files)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadData, match=r"replays\.tar\.gz is cut off or damaged: \d of its files"):
        run("melee", path)
    assert not [e.key for e in store.list("") if e.key.endswith("manifest.json")]


def test_a_source_that_changes_while_it_is_read(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, replays[:3])

    def touch(done: int, total: int, unit: str) -> None:
        if unit == "games":
            (folder / "late.slp").touch()

    with pytest.raises(BadData, match="changed while it was read"):
        run("melee", folder, progress=touch)


def test_stopping_is_a_preemption(run: Run, replays: list[Path]) -> None:
    stopping = threading.Event()

    def stop(done: int, total: int, unit: str) -> None:
        if unit == "games":
            stopping.set()

    with pytest.raises(Preempted, match="up to the last full shard"):
        run("melee", replays[0].parent, progress=stop, stopping=stopping)


def test_progress_knows_the_total(run: Run, replays: list[Path]) -> None:
    seen: list[tuple[int, int, str]] = []
    run("melee", replays[0].parent, progress=lambda *p: seen.append(p))
    games = [(done, total) for done, total, unit in seen if unit == "games"]
    assert games[-1] == (12, 12)
    assert [done for done, _ in games] == [*range(1, 13), 12]
    assert all(10 <= total <= 14 for _, total in games)
