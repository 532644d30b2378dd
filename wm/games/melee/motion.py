"""Made Melee: how bodies gain speed, move, leave the floor and land."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm.games.melee.bodies import (
    STILL,
    Action,
    Bodies,
    Floats,
    Ints,
    character_values,
    stage_values,
)
from wm.games.melee.hits import DAMAGED
from wm.games.melee.pad import WALK, Pad
from wm.games.melee.vocabulary import VOCABULARY

_KNOCKBACK_DECAY = 0.051
_DASH_RATE, _RUN_RATE = 0.6, 0.12
_AIR_FRICTION = 0.02
_SHIELD_LOSS, _SHIELD_GAIN = 0.28, 0.07


def accelerate(body: Bodies, pad: Pad) -> None:
    """New speeds, rounded as they are recorded, and the shield's wear."""
    of = {
        name: character_values(body.character, name)
        for name in ("walk", "run", "dash", "friction", "drift", "drift_rate", "gravity", "fall")
    }
    action = body.action
    walking = (action == Action.WALK_SLOW) | (action == Action.WALK_FAST)
    running, dashing = action == Action.RUN, action == Action.DASH
    target = np.select(
        [walking, running, dashing],
        [pad.x * of["walk"], pad.x * of["run"], body.facing * of["dash"]],
        0,
    )
    rate = np.select([dashing, walking | running], [_DASH_RATE, _RUN_RATE], of["friction"])
    ground = _approach(body.self_x_ground, target, rate)

    stunned = DAMAGED[action]
    drifting = (np.abs(pad.x) >= WALK) & ~stunned
    drift = np.where(drifting, pad.x * of["drift"], 0)
    drift_rate = np.where(drifting, of["drift_rate"], _AIR_FRICTION)
    air = _approach(body.self_x_air, drift, drift_rate)
    falling = np.minimum(body.self_y, np.maximum(body.self_y - of["gravity"], -of["fall"]))

    on_ground, still = body.on_ground, STILL[action]
    body.self_x_ground = _half(np.where(on_ground & ~still, ground, 0))
    body.self_x_air = _half(np.where(still, 0, np.where(on_ground, ground, air)))
    body.self_y = _half(np.where(on_ground | still, 0, falling))
    body.self_y[action == Action.REBIRTH] = -1
    speed = np.hypot(body.knockback_x, body.knockback_y)
    loss = np.where(on_ground, of["friction"], _KNOCKBACK_DECAY)
    kept = np.maximum(speed - loss, 0) / np.maximum(speed, 1e-6)
    body.knockback_x = _half(body.knockback_x * kept)
    body.knockback_y = _half(np.where(on_ground, 0, body.knockback_y * kept))
    change = np.where(action == Action.GUARD, -_SHIELD_LOSS, _SHIELD_GAIN)
    body.shield = np.clip(body.shield + change, 0, 60).astype(np.float32)


def move(body: Bodies, old: Bodies, pad: Pad, stage: NDArray[np.uint8]) -> None:
    """Change positions by the speeds; walk off edges and land."""
    rise = body.self_y + body.knockback_y
    body.x = body.x + body.self_x_air + body.knockback_x
    body.y = body.y + rise
    over_floor = np.abs(body.x) <= stage_values(stage, "edge")

    off = body.on_ground & ~over_floor & ~STILL[body.action]
    body.on_ground[off] = False
    body.self_x_ground[off] = 0
    body.jumps[off] -= 1
    body.enter(off & ~DAMAGED[body.action], Action.FALL)

    falls = ~body.on_ground & ~off & ~STILL[body.action] & (rise <= 0)
    landed = falls & over_floor & (old.y >= 0) & (body.y <= 0)
    body.on_ground[landed] = True
    body.y[landed] = 0
    body.self_x_ground[landed] = body.self_x_air[landed]
    body.self_y[landed] = 0
    body.knockback_y[landed] = 0
    body.jumps[landed] = character_values(body.character, "jumps")[landed]
    aerial = landed & (_LANDING[body.action] != Action.LANDING)
    body.l_cancel[aerial] = np.where(pad.shield, 1, 2)[aerial]
    body.enter(landed & ~DAMAGED[body.action], _LANDING[body.action])


def _approach(speed: Floats, target: NDArray[np.floating], rate: NDArray[np.floating]) -> Floats:
    approached: Floats = (speed + np.clip(target - speed, -rate, rate)).astype(np.float32)
    return approached


def _half(values: NDArray[np.floating]) -> Floats:
    return values.astype(np.float16).astype(np.float32)


_LANDING: Ints = np.full(VOCABULARY["action"], Action.LANDING, np.int64)
_LANDING[Action.ATTACK_AIR_N], _LANDING[Action.ATTACK_AIR_F] = (
    Action.LANDING_AIR_N,
    Action.LANDING_AIR_F,
)
