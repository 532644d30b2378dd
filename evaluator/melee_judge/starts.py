"""Which moments of which held-out games a duel is fought on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm.artifacts.dataset import Split


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One held-out game and the moments in it from which all players predict."""

    identity: str
    """32 hex digits."""
    frames: NDArray[Any]
    """uint8 [T, 104]."""
    starts: NDArray[np.int64]
    """Ascending indices [S] of the first frame to predict."""

    def windows(self, context: int, horizon: int) -> NDArray[np.uint8]:
        """``context`` frames before each start and ``horizon`` from it on, [S, K + H, 104]."""
        offsets = np.arange(-context, horizon)
        windows: NDArray[np.uint8] = self.frames[self.starts[:, None] + offsets]
        return windows


def held_out(
    split: Split, *, games: int, starts: int, gap: int, context: int, horizon: int, seed: int
) -> list[HeldOut]:
    """The first ``games`` games long enough for ``context`` + ``horizon`` frames, with starts.

    The starts of a game depend on nothing but its identity, its length and these settings.
    """
    chosen: list[HeldOut] = []
    for identity, frames in _games(split):
        if len(chosen) == games:
            break
        room = len(frames) - context - horizon + 1
        if room >= 1:
            drawn = _draw(identity, room, starts, gap, seed)
            chosen.append(HeldOut(identity, frames, context + drawn))
    return chosen


def _games(split: Split) -> Iterator[tuple[str, NDArray[Any]]]:
    for shard in split.shards:
        for g, identity in enumerate(shard.identity):
            rows = slice(int(shard.offsets[g]), int(shard.offsets[g + 1]))
            yield identity.tobytes().hex(), shard.rows["frames"][rows]


def _draw(identity: str, room: int, starts: int, gap: int, seed: int) -> NDArray[np.int64]:
    """At most ``starts`` of ``room`` places, at least ``gap`` apart, all such sets as likely."""
    count = min(starts, 1 + (room - 1) // gap)
    digest = blake2b(f"{seed}\0{identity}".encode(), digest_size=16).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    free = room - (count - 1) * gap
    return np.sort(rng.integers(free, size=count)) + gap * np.arange(count)
