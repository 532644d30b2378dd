"""Made Melee: what the controllers ask of the bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm.games.melee.bodies import Floats, Mask
from wm.games.melee.schema import BUTTONS, column

WALK, RUN = 0.28, 0.8
"""Deflections of the stick from which a body walks, and dashes or runs."""


@dataclass(frozen=True, slots=True)
class Pad:
    """What the controllers ask for, every array [G, 2]."""

    x: Floats
    y: Floats
    strong: Floats
    """Direction of a new flick of the c-stick, else 0."""
    jump: Mask
    """X or Y newly pressed."""
    jump_held: Mask
    attack: Mask
    """A newly pressed."""
    shield: Mask

    @classmethod
    def read(cls, before: NDArray[np.void], inputs: NDArray[np.void]) -> Pad:
        """From the controller columns of the frame before and the new one, FRAME records [G]."""
        held = column(inputs, "buttons")
        pressed = held & ~column(before, "buttons")
        flick = column(inputs, "cstick_x").astype(np.float32)
        new = (np.abs(flick) > 0.5) & (np.abs(column(before, "cstick_x")) <= 0.5)
        return cls(
            x=column(inputs, "stick_x").astype(np.float32),
            y=column(inputs, "stick_y").astype(np.float32),
            strong=np.where(new, np.sign(flick), 0).astype(np.float32),
            jump=(pressed & _JUMP) > 0,
            jump_held=(held & _JUMP) > 0,
            attack=(pressed & _ATTACK) > 0,
            shield=((held & _SHIELD) > 0) | (column(inputs, "shoulder") > 0.3),
        )


def _bits(*names: str) -> int:
    return sum(1 << BUTTONS.index(name) for name in names)


_JUMP, _ATTACK, _SHIELD = _bits("X", "Y"), _bits("A"), _bits("L", "R")
