"""Packed frames of made games, as tensors."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from wm.games.melee.made import play


@cache
def made_records(games: int = 8, frames: int = 160, seed: int = 5) -> Tensor:
    """uint8 [games, frames, 104]; shared between tests, so not to be written to."""
    played = [game[:frames] for game, _ in play(games, seed, frames)]
    return torch.from_numpy(np.stack(played).view(np.uint8).reshape(games, frames, 104))
