"""Frames and files of made Melee games for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from wm.games.game import Game, Reason, Rejected
from wm.games.melee.made import play
from wm.games.melee.options import MeleeOptions
from wm.games.melee.slp import read_slp
from wm.games.melee.slp_write import Start


@cache
def made_games(count: int = 4, seed: int = 7, frames: int = 400) -> list[tuple[np.ndarray, Start]]:
    """FRAME records and start facts of some made games; do not write to them."""
    return list(play(count, seed, frames))


def verdict(data: bytes | Path, options: MeleeOptions | None = None) -> Game | Reason:
    """The game, or the reason there is none."""
    try:
        return read_slp(data, options=options or MeleeOptions())
    except Rejected as rejected:
        return rejected.reason
