"""Tiny data sets and specs for tests of the trainer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chess
import numpy as np

from tests.support.datasets import publish_dataset
from wm.games.chess.vocabulary import encode
from wm.games.game import Game
from wm.games.melee.schema import FRAME, column
from wm.stage import Outcome, StageSpec
from wm.store import Store, open_store

if TYPE_CHECKING:  # torch is not for those who only publish
    from trainer.training import Training

LSTM = {"kind": "lstm", "embed": 8, "hidden": 16, "layers": 1, "dropout": 0.1}
MLP = {"kind": "mlp", "context": 3, "hidden": 16, "trunk": 8, "dropout": 0.1}


def chess_games(count: int, seed: int = 0) -> list[Game]:
    """Games of random legal moves, 10 to 40 plies long."""
    draw = random.Random(seed)
    return [_chess_game(draw, number + 1000 * seed) for number in range(count)]


def melee_games(count: int, frames: int = 60, seed: int = 0) -> list[Game]:
    """Two bodies that swing to and fro, with buttons pressed at random."""
    return [_melee_game(frames + 7 * number, number + 1000 * seed) for number in range(count)]


def lines(t: Training) -> list[dict[str, Any]]:
    """What a training has written to ``metrics.jsonl``."""
    return [json.loads(line) for line in t.log._lines]


def stop_at(t: Training, done: int) -> None:
    """As SIGTERM would in the middle of the update that makes it ``done``."""
    batch = t.task.batch

    def asking(step: int) -> Any:
        t.stopping.asked = step + 1 == done
        return batch(step)

    t.task.batch = asking  # type: ignore[method-assign]


def publish_chess(store: Store) -> str:
    """Key of a data set of 24 training games in two shards and 6 held-out ones."""
    games = chess_games(24)
    parts = {"train": [games[:10], games[10:]], "val": [chess_games(6, seed=1)]}
    return publish_dataset(store, "chess", parts, name="chess")


def publish_melee(store: Store) -> str:
    """Key of a data set of 8 training games in two shards and 3 held-out ones."""
    games = melee_games(8)
    parts = {"train": [games[:3], games[3:]], "val": [melee_games(3, seed=1)]}
    return publish_dataset(store, "melee", parts, name="melee")


def settings(data: str, **changes: Any) -> dict[str, Any]:
    """Settings of a training that takes no time."""
    base = {
        "data": data,
        "model": LSTM,
        "steps": 12,
        "batch": 8,
        "length": 16,
        "horizons": (1, 5),
        "checkpoint_every": 4,
        "validate_every": 6,
        "log_every": 2,
        "threads": 1,
        "device": "cpu",
    }
    return base | changes


def write_spec(store: Store, config: dict[str, Any], attempt: int = 1, run: str = "r") -> StageSpec:
    """Publish the spec of an attempt of stage ``train``."""
    spec = StageSpec(run=run, stage="train", attempt=attempt, kind="train", config=config)
    store.put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    return spec


def start(root: Path | str, spec: StageSpec, **environment: str) -> subprocess.Popen[str]:
    """The stage as a process of its own, as a launcher would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", "--spec", f"{root}/{spec.prefix}/spec.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and the rest of the log."""
    log, _ = process.communicate(timeout=120)
    return process.returncode, log


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read the log up to a line that holds ``text``."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"no {text!r} in {''.join(seen)}")


def outcome(root: Path, spec: StageSpec) -> Outcome:
    """What the attempt left."""
    data = open_store(str(root)).get(f"{spec.prefix}/outcome.json")
    return Outcome.model_validate_json(data)


def _chess_game(draw: random.Random, number: int) -> Game:
    board, moves = chess.Board(), []
    for _ in range(draw.randint(10, 40)):
        legal = list(board.legal_moves)
        if not legal:
            break
        moves.append(draw.choice(legal))
        board.push(moves[-1])
    ids = np.array([encode(move.uci()) for move in moves], np.uint16)
    phases = np.ones(len(ids), np.uint8)
    return Game(
        identity=f"{number:032x}",
        rows={"moves": ids, "phases": phases},
        facts={"winner": draw.randint(0, 3)},
    )


def _melee_game(frames: int, number: int) -> Game:
    draw = np.random.default_rng(number)
    rows = np.zeros(frames, FRAME)
    angle = np.arange(frames)[:, None] / 9 + draw.uniform(0, 6, 2)
    column(rows, "x")[:] = 30 * np.sin(angle)
    column(rows, "self_x_air")[:] = 30 / 9 * np.cos(angle)
    column(rows, "stocks")[:] = 4
    column(rows, "action")[:] = draw.integers(14, 20, (frames, 2))
    column(rows, "buttons")[:] = draw.integers(0, 4, (frames, 2))
    return Game(identity=f"{number:032x}", rows={"frames": rows}, facts={"stage": 31})
