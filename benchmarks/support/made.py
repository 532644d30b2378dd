"""Data sets of made games, written fast: a few games under many names."""

from __future__ import annotations

import random
from collections.abc import Sequence

import chess
import numpy as np

from tests.support.datasets import publish_dataset
from wm.games.chess.phase import phase
from wm.games.chess.vocabulary import encode
from wm.games.game import Game
from wm.games.melee.schema import FRAME, column
from wm.store import Store

DIFFERENT = 16
"""Games whose rows are really different."""
SHARD_MB = 64


def publish_melee(store: Store, games: int, frames: int, held_out: int = 8) -> str:
    """Key of a data set of ``games`` train games of ``frames`` frames each, in shards of 64 MB."""
    rows = [melee_rows(frames, number) for number in range(min(games, DIFFERENT))]
    made = [
        Game(f"{number:032x}", {"frames": rows[number % len(rows)]}, {"stage": 31})
        for number in range(games + held_out)
    ]
    each = max(1, SHARD_MB * 10**6 // rows[0].nbytes)
    shards = [made[i : min(i + each, games)] for i in range(0, games, each)]
    return publish_dataset(store, "melee", {"train": shards, "val": [made[games:]]}, name="melee")


def publish_chess(store: Store, made: Sequence[Game], held_out: int = 8) -> str:
    """Key of a data set of chess games, the last few of them held out."""
    parts = {"train": [made[:-held_out]], "val": [made[-held_out:]]}
    return publish_dataset(store, "chess", parts, name="chess")


def melee_rows(frames: int, number: int) -> np.ndarray:
    """FRAME [T]: two bodies swing to and fro, and press buttons at random."""
    draw = np.random.default_rng(number)
    rows = np.zeros(frames, FRAME)
    angle = np.arange(frames)[:, None] / 9 + draw.uniform(0, 6, 2)
    column(rows, "x")[:] = 30 * np.sin(angle)
    column(rows, "self_x_air")[:] = 30 / 9 * np.cos(angle)
    column(rows, "stocks")[:] = 4
    column(rows, "action")[:] = draw.integers(14, 20, (frames, 2))
    column(rows, "buttons")[:] = draw.integers(0, 4, (frames, 2))
    return rows


def chess_games(count: int, plies: tuple[int, int] = (60, 100)) -> list[Game]:
    """Games of random legal moves, 80 plies long on average; W or B has won."""
    draw = random.Random(0)
    played = [_play(draw, draw.randint(*plies)) for _ in range(min(count, 4 * DIFFERENT))]
    return [
        Game(f"{number:032x}", played[number % len(played)], {"winner": number % 2})
        for number in range(count)
    ]


def _play(draw: random.Random, plies: int) -> dict[str, np.ndarray]:
    board = chess.Board()
    phases: list[int] = []
    while len(phases) < plies and (legal := list(board.legal_moves)):
        board.push(draw.choice(legal))
        phases.append(phase(board))
    ids = np.array([encode(move.uci()) for move in board.move_stack], np.uint16)
    return {"moves": ids, "phases": np.array(phases, np.uint8)}
