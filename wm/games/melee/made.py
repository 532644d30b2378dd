"""Made replays: games of the small physics, written as valid .slp files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm.games.melee.bodies import CHARACTERS, STAGES, opening
from wm.games.melee.hands import DRAWS, Hands
from wm.games.melee.physics import step
from wm.games.melee.schema import FRAME, column
from wm.games.melee.slp_write import Start, write_slp

STOCKS = 4

_BATCH = 64
_AFTERMATH = 60


def write_replays(folder: Path, count: int, seed: int, frames: int = 1800) -> list[Path]:
    """Write ``count`` replays of at most ``frames`` frames as ``made-<seed>-<number>.slp``.

    A game ends early, a second after a player's last stock. Game ``i`` depends on ``seed``, ``i``
    and ``frames`` only, not on ``count``. Creates ``folder``; returns the paths in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"made-{seed}-{i:05d}.slp" for i in range(count)]
    for path, (game, start) in zip(paths, play(count, seed, frames), strict=True):
        write_slp(path, game, start)
    return paths


def play(count: int, seed: int, frames: int) -> Iterator[tuple[NDArray[np.void], Start]]:
    """FRAME records [T] of each game, and what its replay says at the start."""
    for first in range(0, count, _BATCH):
        yield from _play_batch(range(first, min(first + _BATCH, count)), seed, frames)


def _play_batch(numbers: range, seed: int, frames: int) -> Iterator[tuple[NDArray[np.void], Start]]:
    """Many games at once: a step costs hardly more for 64 games than for one."""
    chances = [np.random.default_rng((seed, number)) for number in numbers]
    cast = np.array([chance.integers(len(CHARACTERS), size=2) for chance in chances])
    places = [STAGES[chance.integers(len(STAGES))] for chance in chances]
    draws = np.stack([c.random((frames, 2, DRAWS), np.float32) for c in chances], axis=1)

    internal = np.array([character.internal for character in CHARACTERS])
    stages = np.array([stage.external for stage in places], np.uint8)
    now = opening(internal[cast], stages, STOCKS)
    hands = Hands(len(numbers))
    games = np.empty((frames, len(numbers)), FRAME)
    for t in range(frames):
        now = games[t] = step(now, hands.hold(now, draws[t]))

    for i, number in enumerate(numbers):
        characters = (CHARACTERS[cast[i, 0]].external, CHARACTERS[cast[i, 1]].external)
        start = Start(places[i].external, characters, stocks=STOCKS, seed=number)
        yield np.ascontiguousarray(games[: _length(games[:, i]), i]), start


def _length(game: NDArray[np.void]) -> int:
    over = (column(game, "stocks") == 0).any(axis=1)
    return min(len(game), int(over.argmax()) + _AFTERMATH) if over.any() else len(game)
