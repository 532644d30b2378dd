"""Made Melee: its characters, stages, actions, and bodies unpacked from FRAME records."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wm.games.melee.schema import AIRBORNE_GROUND, COLUMN_TYPES, FLAGS, FRAME, column
from wm.games.melee.vocabulary import VOCABULARY

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Character(NamedTuple):
    """How a body moves. Lengths in game units, times in frames; close to the real game's values."""

    internal: int
    external: int
    gravity: float
    fall: float
    """Terminal speed of a fall."""
    fast_fall: float
    walk: float
    run: float
    dash: float
    friction: float
    """Speed lost per frame on the ground."""
    drift: float
    """Top horizontal speed in the air."""
    drift_rate: float
    """Change of that speed per frame."""
    full_hop: float
    short_hop: float
    air_jump: float
    jumps: int
    """Jumps from the ground; one fewer after walking off an edge."""
    squat: int
    """Frames between the button and the jump."""
    weight: float


FOX = Character(
    1, 2, 0.23, 2.8, 3.4, 1.6, 2.2, 1.9, 0.08, 0.83, 0.08, 3.68, 2.1, 4.1, 2, 3, 75
)  # fmt: skip
FALCON = Character(
    2, 0, 0.13, 2.9, 3.5, 0.85, 2.3, 2.0, 0.08, 1.12, 0.06, 3.1, 1.9, 2.8, 2, 4, 104
)  # fmt: skip
JIGGLYPUFF = Character(
    15, 15, 0.064, 1.3, 1.6, 0.7, 1.1, 1.4, 0.09, 1.35, 0.09, 1.6, 1.1, 1.5, 6, 5, 60
)  # fmt: skip
MARTH = Character(
    18, 9, 0.085, 2.2, 2.5, 1.6, 1.8, 1.5, 0.06, 0.9, 0.05, 2.4, 1.5, 2.1, 2, 4, 87
)  # fmt: skip
CHARACTERS = (FOX, FALCON, JIGGLYPUFF, MARTH)


class Stage(NamedTuple):
    """One floor at y = 0, which can be passed from below, and the borders of the world."""

    external: int
    edge: float
    """Half the width of the floor."""
    side: float
    top: float
    bottom: float


YOSHIS_STORY = Stage(8, 56.0, 175.0, 168.0, -91.0)
DREAM_LAND = Stage(28, 77.3, 255.0, 250.0, -123.0)
BATTLEFIELD = Stage(31, 68.4, 224.0, 200.0, -109.0)
FINAL_DESTINATION = Stage(32, 85.6, 246.0, 188.0, -140.0)
STAGES = (YOSHIS_STORY, DREAM_LAND, BATTLEFIELD, FINAL_DESTINATION)

FLOOR = 1
"""Ground id of every made floor."""


class Action(IntEnum):
    """Action states, with the ids of the real game."""

    DEAD_DOWN = 0
    DEAD_LEFT = 1
    DEAD_RIGHT = 2
    DEAD_UP = 3
    REBIRTH = 12
    REBIRTH_WAIT = 13
    WAIT = 14
    WALK_SLOW = 15
    WALK_FAST = 17
    DASH = 20
    RUN = 21
    KNEE_BEND = 24
    JUMP_F = 25
    JUMP_B = 26
    JUMP_AERIAL_F = 27
    JUMP_AERIAL_B = 28
    FALL = 29
    DAMAGE_FALL = 38
    SQUAT_WAIT = 40
    LANDING = 42
    ATTACK_11 = 44
    ATTACK_DASH = 50
    ATTACK_S4 = 60
    ATTACK_AIR_N = 65
    ATTACK_AIR_F = 66
    LANDING_AIR_N = 70
    LANDING_AIR_F = 71
    DAMAGE_N_1 = 78
    DAMAGE_AIR_1 = 84
    DAMAGE_FLY_N = 88
    GUARD = 179
    GUARD_OFF = 180
    GUARD_SET_OFF = 181
    ENTRY = 322


def is_one_of(*actions: Action) -> Mask:
    """Table over action ids, true for the given ones."""
    table = np.zeros(VOCABULARY["action"], bool)
    table[list(actions)] = True
    return table


@dataclass(slots=True)
class Bodies:
    """Both bodies of G games, every array [G, 2]; names and units as in the schema."""

    x: Floats
    y: Floats
    percent: Floats
    shield: Floats
    self_x_air: Floats
    self_y: Floats
    self_x_ground: Floats
    knockback_x: Floats
    knockback_y: Floats
    state_age: Floats
    hitlag: Floats
    action: Ints
    character: Ints
    last_attack: Ints
    jumps: Ints
    l_cancel: Ints
    hurtbox: Ints
    stocks: Ints
    combo: Ints
    facing: Floats
    """1 to the right, -1 to the left."""
    on_ground: Mask

    @classmethod
    def unpack(cls, frames: NDArray[np.void]) -> Bodies:
        """From FRAME records [G]."""
        flags = column(frames, "flags")
        values: dict[str, Any] = {
            "facing": np.where(flags & _FACING, 1, -1).astype(np.float32),
            "on_ground": (flags & _ON_GROUND) > 0,
        }
        for name in _COLUMNS:
            kind = np.float32 if COLUMN_TYPES[name].startswith("f") else np.int64
            values[name] = column(frames, name).astype(kind)
        return cls(**values)

    def pack(self, frames: NDArray[np.void]) -> None:
        """Into FRAME records [G], leaving stage and controller columns as they are."""
        for name in _COLUMNS:
            column(frames, name)[:] = getattr(self, name)
        column(frames, "ground")[:] = np.where(self.on_ground, FLOOR, AIRBORNE_GROUND)
        column(frames, "flags")[:] = (
            (self.facing > 0) * _FACING
            + self.on_ground * _ON_GROUND
            + (self.hurtbox > 0) * _INVULNERABLE
        )

    def enter(self, who: Mask, action: int | Ints) -> None:
        """Begin an action at age 0."""
        self.action[who] = action[who] if isinstance(action, np.ndarray) else action
        self.state_age[who] = 0

    def restore(self, who: Mask, before: Bodies) -> None:
        """Take everything of some bodies back to what it was."""
        for f in fields(self):
            getattr(self, f.name)[who] = getattr(before, f.name)[who]

    def stop(self, who: Mask) -> None:
        """Take all speed away."""
        for name in ("self_x_air", "self_y", "self_x_ground", "knockback_x", "knockback_y"):
            getattr(self, name)[who] = 0


def character_values(character: Ints, name: str) -> Floats:
    """One constant of each body's character, [G, 2]."""
    return _CHARACTER_TABLE[name][character]


def stage_values(stage: NDArray[np.uint8], name: str) -> Floats:
    """One constant of each game's stage, [G, 1]."""
    return _STAGE_TABLE[name][stage][:, None]


def opening(characters: Ints, stage: NDArray[np.uint8], stocks: int) -> NDArray[np.void]:
    """FRAME records [G] before the first frame: both bodies entering, facing each other."""
    frames = np.zeros(len(stage), FRAME)
    frames["stage"] = stage
    body = Bodies.unpack(frames)
    body.character[:] = characters
    body.facing[:] = (1, -1)
    body.x[:] = stage_values(stage, "edge") * (-0.5, 0.5)
    body.on_ground[:] = True
    body.shield[:] = 60
    body.stocks[:] = stocks
    body.jumps[:] = character_values(body.character, "jumps")
    body.hurtbox[:] = 2
    body.action[:] = Action.ENTRY
    body.pack(frames)
    return frames


DYING = is_one_of(Action.DEAD_DOWN, Action.DEAD_LEFT, Action.DEAD_RIGHT, Action.DEAD_UP)
STILL = DYING | is_one_of(Action.REBIRTH, Action.REBIRTH_WAIT, Action.ENTRY)
"""Actions without control or physics: dying, coming back, entering."""

_COLUMNS = [f.name for f in fields(Bodies) if f.name in COLUMN_TYPES]
_FACING, _ON_GROUND, _INVULNERABLE = (
    1 << FLAGS.index(name) for name in ("facing", "on_ground", "invulnerable")
)


def _table(rows: tuple[Any, ...], key: str) -> dict[str, Floats]:
    tables = {name: np.zeros(64, np.float32) for name in rows[0]._fields}
    for row in rows:
        for name, table in tables.items():
            table[getattr(row, key)] = getattr(row, name)
    return tables


_CHARACTER_TABLE = _table(CHARACTERS, "internal")
_STAGE_TABLE = _table(STAGES, "external")
