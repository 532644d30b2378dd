"""Other games that are as good as those that were played: mirrored, or with the players swapped."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wm.games.melee.schema import FLAGS, FRAME, column

MIRRORED = ("x", "self_x_air", "self_x_ground", "knockback_x", "stick_x", "cstick_x")
"""Columns that change their sign where left and right change places."""
SYMMETRIC = (2, 8, 28, 31, 32)
"""External ids of stages whose halves are alike: Fountain of Dreams, Yoshi's Story, Dream Land,
Battlefield, Final Destination. Pokémon Stadium's transformations are not, nor are other stages."""
DEAD_LEFT, DEAD_RIGHT = 1, 2
"""The only two actions that name a side."""

_ACTION_LOW = FRAME.fields["u16"][1]  # type: ignore[index]
_STAGE = FRAME.fields["stage"][1]  # type: ignore[index]


def mirror(records: Tensor) -> Tensor:
    """Records uint8 [..., 104] with left and right exchanged: positions, speeds, sticks, facing.

    Exact, by flipping sign bits. ``ground`` keeps its ids, as which platform is which one's
    counterpart is not known: on stages with platforms it then names the wrong side.
    """
    mirrored = records ^ _SIGNS.to(records.device)
    for low in (_ACTION_LOW, _ACTION_LOW + 4):  # one uint16 and then ground, for each player
        side, high = mirrored[..., low], mirrored[..., low + 1]
        dead = ((side == DEAD_LEFT) | (side == DEAD_RIGHT)) & (high == 0)
        mirrored[..., low] = torch.where(dead, side ^ (DEAD_LEFT ^ DEAD_RIGHT), side)
    return mirrored


def symmetric(records: Tensor) -> Tensor:
    """Whether each sequence of uint8 [B, T, 104] is on a stage that may be mirrored, bool [B]."""
    stage = records[:, 0, _STAGE]
    return torch.isin(stage, torch.tensor(SYMMETRIC, dtype=torch.uint8, device=stage.device))


def swap_players(records: Tensor) -> Tensor:
    """Records uint8 [..., 104] with player 0 as player 1 and the other way round."""
    return records[..., _SWAP.to(records.device)]


def _signs() -> Tensor:
    frame = np.zeros(1, FRAME)
    for name in MIRRORED:
        column(frame, name)[:] = -0.0  # the sign bit alone
    column(frame, "flags")[:] = 1 << FLAGS.index("facing")
    return torch.from_numpy(frame.view(np.uint8).copy())


def _swap() -> Tensor:
    """Byte number of the other player for every byte of a frame."""
    here = np.arange(FRAME.itemsize, dtype=np.uint8).view(FRAME)
    there = here.copy()
    for group in ("f32", "f16", "u16", "u8"):
        there[group] = here[group][:, ::-1]
    return torch.from_numpy(there.view(np.uint8).astype(np.int64))


_SIGNS, _SWAP = _signs(), _swap()
