"""A stage that is killed at any moment and started again ends with the same bytes."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoder.config import EncodeConfig
from tests.support.disk import small_tmpfs
from wm.errors import StoreUnreachable
from wm.stage import Outcome, StageSpec
from wm.store import Store, open_store

Run = Callable[..., dict[str, Any]]
SMALL = {"shard_mb": 0.05, "workers": 1}  # about two replays of 200 frames


def objects(store: Store) -> dict[str, str]:
    """Key -> SHA-256 of everything that belongs to data sets, but for the index of inputs."""
    return {
        entry.key: hashlib.sha256(store.get(entry.key)).hexdigest()
        for entry in store.list("datasets/")
        if not entry.key.endswith("inputs.json")
    }


def start(store: Store, config: dict[str, Any], attempt: int) -> subprocess.Popen[bytes]:
    """``python -m encoder`` in a process group of its own."""
    settings = EncodeConfig.model_validate(config).model_dump(mode="json")
    spec = StageSpec(run="r", stage="encode", attempt=attempt, kind="encode", config=settings)
    store.put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    return subprocess.Popen(
        [sys.executable, "-m", "encoder", "--spec", f"{store.url}/{spec.prefix}/spec.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@pytest.mark.parametrize("game", ["melee", "chess"])
def test_killed_at_random_moments(
    game: str, run: Run, store: Store, replays: list[Path], pgn: bytes, tmp_path: Path
) -> None:
    source = replays[0].parent
    if game == "chess":
        source = tmp_path / "pgns"
        source.mkdir()
        for number in range(12):
            (source / f"{number}.pgn").write_bytes(b'[Event "%d"]\n\n1. e4 1-0\n\n' % number + pgn)
    more = SMALL | {"shard_mb": 0.002} if game == "chess" else SMALL
    run(game, source, store=store, **more)
    disturbed = open_store(str(tmp_path / "disturbed"))
    chance = random.Random(7)
    config = {"game": game, "name": "made", "source": str(source), **more}
    for attempt in range(1, 7):
        process = start(disturbed, config, attempt)
        time.sleep(chance.uniform(0.8, 2.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    last = start(disturbed, config, 9)
    said, _ = last.communicate(timeout=100)
    assert last.returncode == 0, said.decode()
    assert objects(disturbed) == objects(store)


def test_a_run_goes_on_where_the_last_one_stopped(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    """Stopped after every game in turn; what is done is not read again."""
    run("melee", replays[0].parent, **SMALL)
    for last in (5, 6, 7, 8):
        other = open_store(str(tmp_path / f"stopped-{last}"))
        stop = _StopAfter(last)
        with pytest.raises(_Stopped):
            run("melee", replays[0].parent, store=other, progress=stop, **SMALL)
        games = _Games()
        run("melee", replays[0].parent, store=other, progress=games, **SMALL)
        assert 1 < min(games.seen) <= last
        assert objects(other) == objects(store)


def test_games_that_are_not_accepted_are_not_read_again(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    """Twelve replays ten times each: there is nothing to fill a block with, but progress."""
    folder = tmp_path / "copies"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03d}.slp").hardlink_to(replays[number % 12])
    result = run("melee", folder, **SMALL)
    assert (sum(result["games"].values()), result["rejects"]) == (12, {"duplicate": 108})
    other = open_store(str(tmp_path / "other"))
    with pytest.raises(_Stopped):
        run("melee", folder, store=other, progress=_StopAfter(100), **SMALL)
    games = _Games()
    run("melee", folder, store=other, progress=games, **SMALL)
    assert min(games.seen) > 75
    assert objects(other) == objects(store)


def test_sigterm_ends_as_preempted(store: Store, replays: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1500):
        (folder / f"{number:04d}.slp").hardlink_to(replays[number % 12])
    process = start(store, {"game": "melee", "name": "x", "source": str(folder)}, 1)
    assert process.stdout is not None
    assert b"encode" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    outcome = Outcome.model_validate_json(store.get("runs/r/encode/01/outcome.json"))
    assert outcome.message == "stopped; all games up to the last full shard are kept"


def test_a_lost_part_of_an_earlier_run_means_starting_over(
    run: Run, store: Store, replays: list[Path], tmp_path: Path
) -> None:
    run("melee", replays[0].parent, **SMALL)
    other = open_store(str(tmp_path / "other"))
    with pytest.raises(_Stopped):
        run("melee", replays[0].parent, store=other, progress=_StopAfter(9), **SMALL)
    parts = [e.key for e in other.list("datasets/") if e.key.endswith(".safetensors")]
    assert parts
    other.delete(parts[0])
    run("melee", replays[0].parent, store=other, **SMALL)
    assert objects(other) == objects(store)


def test_a_full_disk_is_one_clear_error(run: Run, replays: list[Path], tmp_path: Path) -> None:
    with small_tmpfs(tmp_path / "disk", "1m") as disk:
        full = open_store(str(disk / "store"))
        (disk / "ballast").write_bytes(bytes(900_000))
        with pytest.raises(StoreUnreachable, match="No space left on device"):
            run("melee", replays[0].parent, store=full)
        (disk / "ballast").unlink()
        assert not run("melee", replays[0].parent, store=full)["hit"]


class _Games:
    """A progress callback that remembers."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, done: int, total: int, unit: str) -> None:
        if unit == "games":
            self.seen.append(done)


class _Stopped(Exception):
    pass


class _StopAfter:
    """A progress callback that dies after so many games."""

    def __init__(self, games: int) -> None:
        self._games = games

    def __call__(self, done: int, total: int, unit: str) -> None:
        if unit == "games" and done >= self._games:
            raise _Stopped
