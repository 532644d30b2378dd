"""One Melee frame as 104 packed bytes, little-endian, grouped by type so that a device can decode
it with four views and no per-field work.

    bytes   0- 23  float32  [2 players, 3]   F32 columns
    bytes  24- 75  float16  [2 players, 13]  F16 columns
    bytes  76- 83  uint16   [2 players, 2]   U16 columns
    bytes  84-101  uint8    [2 players, 9]   U8 columns
    byte  102      uint8    stage (external id)
    byte  103      uint8    zero

Players are in port order: the lower port is player 0. Positions need float32: near x = 100 a
float16 step (0.06) is a quarter of the constant-velocity error that models are measured against.
"""

from __future__ import annotations

import numpy as np

F32 = ("x", "y", "percent")
"""Game units, game units, percent as the replay stores it (not truncated)."""

F16 = (
    "shield",
    "self_x_air",
    "self_y",
    "self_x_ground",
    "knockback_x",
    "knockback_y",
    "state_age",
    "hitlag",
    "stick_x",
    "stick_y",
    "cstick_x",
    "cstick_y",
    "shoulder",
)
"""Shield 0-60; speeds in units per frame; ages in frames; sticks -1..1; shoulder 0..1."""

U16 = ("action", "ground")
"""Action state id; id of the ground below, 65535 where there is none (raw values)."""

U8 = (
    "character",
    "last_attack",
    "jumps",
    "l_cancel",
    "hurtbox",
    "stocks",
    "combo",
    "buttons",
    "flags",
)
"""Character is the *internal* id (Fox 1, Sheik 7). Buttons and flags are bit fields."""

BUTTONS = ("A", "B", "X", "Y", "Z", "L", "R", "D_UP")
"""Bit i of ``buttons`` is BUTTONS[i]."""

FLAGS = ("facing", "on_ground", "invulnerable")
"""Bit i of ``flags`` is FLAGS[i]; facing is 1 to the right."""

FRAME = np.dtype(
    [
        ("f32", "<f4", (2, len(F32))),
        ("f16", "<f2", (2, len(F16))),
        ("u16", "<u2", (2, len(U16))),
        ("u8", "<u1", (2, len(U8))),
        ("stage", "<u1"),
        ("pad", "<u1"),
    ]
)
"""numpy dtype of one packed frame; itemsize 104."""

AIRBORNE_GROUND = 65535
"""Raw ``ground`` of a player who stands on nothing."""

FIRST_FRAME = -123
"""Frame id of a replay's first frame."""

COLUMN_TYPES = {**dict.fromkeys(F32, "f32"), **dict.fromkeys(F16, "f16")} | {
    **dict.fromkeys(U16, "u16"),
    **dict.fromkeys(U8, "u8"),
}
"""Column name -> group of :data:`FRAME` that holds it."""

_POSITION = {name: i for group in (F32, F16, U16, U8) for i, name in enumerate(group)}


def column(frames: np.ndarray, name: str) -> np.ndarray:
    """View of one column for both players, shape [..., 2], from an array of FRAME records."""
    return frames[COLUMN_TYPES[name]][..., _POSITION[name]]
