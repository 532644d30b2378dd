"""A small Melee: two controlled bodies, one floor, gravity, jumps, shields, hits and stocks.

A frame follows from the frame before it and the two controllers, and from nothing else: there is
no hidden timer and no chance, and each step starts from what the packed record holds, so that a
perfect model of made games has an error of 0. As in real replays, speeds are those that moved the
body in this frame.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm.games.melee import hits
from wm.games.melee.bodies import (
    Action,
    Bodies,
    Floats,
    Ints,
    Mask,
    character_values,
    stage_values,
)
from wm.games.melee.schema import BUTTONS, column

WALK, RUN = 0.28, 0.8
"""Deflections of the stick from which a body walks, and dashes or runs."""

_KNOCKBACK_DECAY = 0.051
_HITSTUN_SPEED = 0.6
_SMALLEST_SHIELD = 5.0
_ENTRY, _DEAD, _REBIRTH, _REBIRTH_WAIT = 40, 60, 30, 60
_REBIRTH_X, _REBIRTH_Y = 20.0, 70.0
_LOOP = 60
_DASH = 12


def step(before: NDArray[np.void], inputs: NDArray[np.void]) -> NDArray[np.void]:
    """The next frames of G games.

    ``before``: FRAME records [G]; ``inputs``: FRAME records [G] of which only the controller
    columns are read, as the players hold them in the new frame. Returns FRAME records [G].
    """
    pad = _Pad.read(before, inputs)
    body = Bodies.unpack(before)
    frozen = body.hitlag > 0
    old = copy.deepcopy(body)
    body.state_age += 1
    _finish(body, pad)
    _act_on_ground(body, pad)
    _act_in_air(body, pad)
    _accelerate(body, pad)
    _move(body, old, pad, before["stage"])
    body.restore(frozen, old)
    body.hitlag = np.maximum(old.hitlag - 1, 0)
    hits.land(body, active=~frozen)
    _die(body, before["stage"])
    _tidy(body)
    after = inputs.copy()
    after["stage"] = before["stage"]
    body.pack(after)
    return after


@dataclass(frozen=True, slots=True)
class _Pad:
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
    def read(cls, before: NDArray[np.void], inputs: NDArray[np.void]) -> _Pad:
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


def _finish(body: Bodies, pad: _Pad) -> None:
    """End what has lasted its time."""
    action, age = body.action, body.state_age
    lag = np.where(body.l_cancel == 1, _DURATION[action] // 2, _DURATION[action])
    over = age >= lag
    slow = np.hypot(body.knockback_x, body.knockback_y) < _HITSTUN_SPEED
    recovered = hits.DAMAGED[action] & slow & (age >= 8)
    alive = body.stocks > 0
    reborn = _DYING[action] & (age >= _DEAD) & alive
    descended = (action == Action.REBIRTH) & (age >= _REBIRTH)
    leaving = (np.abs(pad.x) > 0.5) | pad.jump | (age >= _REBIRTH_WAIT)
    left = (action == Action.REBIRTH_WAIT) & leaving
    takeoff = (action == Action.KNEE_BEND) & (age >= character_values(body.character, "squat"))

    body.enter((over | recovered) & body.on_ground, Action.WAIT)
    body.enter((over & ~body.on_ground) | left, Action.FALL)
    body.enter(recovered & ~body.on_ground, Action.DAMAGE_FALL)
    body.enter(descended, Action.REBIRTH_WAIT)
    _be_reborn(body, reborn)
    _take_off(body, pad, takeoff)


def _be_reborn(body: Bodies, who: Mask) -> None:
    sides = np.broadcast_to(np.array([-1, 1], np.float32), who.shape)
    body.enter(who, Action.REBIRTH)
    body.x[who] = _REBIRTH_X * sides[who]
    body.y[who] = _REBIRTH_Y
    body.facing[who] = -sides[who]
    body.percent[who] = 0
    body.shield[who] = 60
    body.jumps[who] = character_values(body.character, "jumps")[who]
    body.on_ground[who] = False


def _take_off(body: Bodies, pad: _Pad, who: Mask) -> None:
    full = character_values(body.character, "full_hop")
    short = character_values(body.character, "short_hop")
    drift = character_values(body.character, "drift")
    body.enter(who, np.where(pad.x * body.facing >= 0, Action.JUMP_F, Action.JUMP_B))
    body.on_ground[who] = False
    body.jumps[who] -= 1
    body.self_y[who] = np.where(pad.jump_held, full, short)[who]
    body.self_x_air[who] = np.clip(0.8 * body.self_x_ground + 0.4 * pad.x, -drift, drift)[who]


def _act_on_ground(body: Bodies, pad: _Pad) -> None:
    """What a body that may act on the ground does: jump, attack, shield, move or wait."""
    free = body.on_ground & _FREE_ON_GROUND[body.action]
    guarding = body.action == Action.GUARD
    may_shield = pad.shield & (body.shield > _SMALLEST_SHIELD)
    jumps = (free | guarding) & pad.jump
    body.enter(guarding & ~jumps & ~may_shield, Action.GUARD_OFF)
    body.enter(jumps, Action.KNEE_BEND)
    free &= ~jumps

    strong = free & (pad.strong != 0)
    body.enter(strong, Action.ATTACK_S4)
    body.facing[strong] = pad.strong[strong]
    attack = free & ~strong & pad.attack
    fast = (body.action == Action.DASH) | (body.action == Action.RUN)
    body.enter(attack, np.where(fast, Action.ATTACK_DASH, Action.ATTACK_11))
    free &= ~strong & ~attack

    body.enter(free & may_shield, Action.GUARD)
    free &= ~may_shield
    _walk_or_run(body, pad, free)


def _walk_or_run(body: Bodies, pad: _Pad, free: Mask) -> None:
    tilt = np.abs(pad.x)
    side = np.where(tilt >= WALK, np.sign(pad.x), body.facing)
    onward = side == body.facing
    keeps = onward & ((body.action == Action.DASH) & (body.state_age < _DASH))
    runs = onward & ((body.action == Action.RUN) | (body.action == Action.DASH)) & ~keeps
    wanted = np.select(
        [tilt >= RUN, tilt >= WALK, pad.y < -0.65],
        [
            np.where(runs, Action.RUN, Action.DASH),
            np.where(tilt > 0.55, Action.WALK_FAST, Action.WALK_SLOW),
            Action.SQUAT_WAIT,
        ],
        Action.WAIT,
    )
    turned = (wanted == Action.DASH) & ~onward
    body.enter(free & ((wanted != body.action) | turned), wanted)
    body.facing[free] = side[free]


def _act_in_air(body: Bodies, pad: _Pad) -> None:
    """What a body that may act in the air does: jump again, attack, fall, fall fast."""
    free = ~body.on_ground & _FREE_IN_AIR[body.action]
    jumps = free & pad.jump & (body.jumps > 0) & (body.state_age > 0)
    body.enter(
        jumps, np.where(pad.x * body.facing >= 0, Action.JUMP_AERIAL_F, Action.JUMP_AERIAL_B)
    )
    body.jumps[jumps] -= 1
    body.self_y[jumps] = character_values(body.character, "air_jump")[jumps]
    body.self_x_air[jumps] = (pad.x * character_values(body.character, "drift"))[jumps]

    body.enter(free & (pad.strong != 0), Action.ATTACK_AIR_F)
    body.enter(free & (pad.strong == 0) & pad.attack, Action.ATTACK_AIR_N)
    body.enter(free & _RISING[body.action] & (body.self_y < 0), Action.FALL)
    dives = free & (body.self_y < 0) & (pad.y < -0.65)
    body.self_y[dives] = -character_values(body.character, "fast_fall")[dives]


def _accelerate(body: Bodies, pad: _Pad) -> None:
    """New speeds, rounded as they are recorded."""
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
    rate = np.select([dashing, walking | running], [0.6, 0.12], of["friction"])
    ground = _approach(body.self_x_ground, target, rate)

    stunned = hits.DAMAGED[action]
    drifting = (np.abs(pad.x) >= WALK) & ~stunned
    air = _approach(
        body.self_x_air, np.where(drifting, pad.x * of["drift"], 0),
        np.where(drifting, of["drift_rate"], 0.02),
    )  # fmt: skip
    falling = np.minimum(body.self_y, np.maximum(body.self_y - of["gravity"], -of["fall"]))

    on_ground, still = body.on_ground, _STILL[action]
    body.self_x_ground = _half(np.where(on_ground & ~still, ground, 0))
    body.self_x_air = _half(np.where(still, 0, np.where(on_ground, ground, air)))
    body.self_y = _half(np.where(on_ground | still, 0, falling))
    body.self_y[action == Action.REBIRTH] = -1
    speed = np.hypot(body.knockback_x, body.knockback_y)
    loss = np.where(on_ground, of["friction"], _KNOCKBACK_DECAY)
    kept = np.maximum(speed - loss, 0) / np.maximum(speed, 1e-6)
    body.knockback_x = _half(body.knockback_x * kept)
    body.knockback_y = _half(np.where(on_ground, 0, body.knockback_y * kept))
    shielding = action == Action.GUARD
    body.shield = np.clip(body.shield + np.where(shielding, -0.28, 0.07), 0, 60).astype(np.float32)


def _move(body: Bodies, old: Bodies, pad: _Pad, stage: NDArray[np.uint8]) -> None:
    """Change positions by the speeds; walk off edges and land."""
    rise = body.self_y + body.knockback_y
    body.x = body.x + body.self_x_air + body.knockback_x
    body.y = body.y + rise
    over_floor = np.abs(body.x) <= stage_values(stage, "edge")

    off = body.on_ground & ~over_floor & ~_STILL[body.action]
    body.on_ground[off] = False
    body.self_x_ground[off] = 0
    body.jumps[off] -= 1
    body.enter(off & ~hits.DAMAGED[body.action], Action.FALL)

    falls = ~body.on_ground & ~off & ~_STILL[body.action] & (rise <= 0)
    landed = falls & over_floor & (old.y >= 0) & (body.y <= 0)
    body.on_ground[landed] = True
    body.y[landed] = 0
    body.self_x_ground[landed] = body.self_x_air[landed]
    body.self_y[landed] = 0
    body.knockback_y[landed] = 0
    body.jumps[landed] = character_values(body.character, "jumps")[landed]
    aerial = landed & (_LANDING[body.action] != Action.LANDING)
    body.l_cancel[aerial] = np.where(pad.shield, 1, 2)[aerial]
    body.enter(landed & ~hits.DAMAGED[body.action], _LANDING[body.action])


def _die(body: Bodies, stage: NDArray[np.uint8]) -> None:
    """Take a stock from a body outside the borders."""
    side = stage_values(stage, "side")
    outside = [
        body.y < stage_values(stage, "bottom"),
        body.x < -side,
        body.x > side,
        body.y > stage_values(stage, "top"),
    ]
    gone = np.any(outside, axis=0) & ~_STILL[body.action]
    ways = [Action.DEAD_DOWN, Action.DEAD_LEFT, Action.DEAD_RIGHT, Action.DEAD_UP]
    body.enter(gone, np.select(outside, ways, Action.DEAD_DOWN))
    body.stop(gone)
    body.stocks[gone] -= 1
    body.last_attack[gone] = 0
    body.combo[gone] = 0
    body.hitlag[gone] = 0


def _tidy(body: Bodies) -> None:
    """What follows from the action alone."""
    loops = _LOOPING[body.action] & (body.state_age >= _LOOP)
    body.state_age[loops] = 0
    body.hurtbox = np.where(_STILL[body.action], 2, 0)
    cancelling = (body.action == Action.LANDING_AIR_N) | (body.action == Action.LANDING_AIR_F)
    body.l_cancel[~cancelling] = 0
    body.combo[~hits.DAMAGED[body.action[:, ::-1]]] = 0


def _approach(speed: Floats, target: NDArray[np.floating], rate: NDArray[np.floating]) -> Floats:
    approached: Floats = (speed + np.clip(target - speed, -rate, rate)).astype(np.float32)
    return approached


def _half(values: NDArray[np.floating]) -> Floats:
    return values.astype(np.float16).astype(np.float32)


def _bits(*names: str) -> int:
    return sum(1 << BUTTONS.index(name) for name in names)


_JUMP, _ATTACK, _SHIELD = _bits("X", "Y"), _bits("A"), _bits("L", "R")
A = Action
_DYING = hits.actions(A.DEAD_DOWN, A.DEAD_LEFT, A.DEAD_RIGHT, A.DEAD_UP)
_STILL = _DYING | hits.actions(A.REBIRTH, A.REBIRTH_WAIT, A.ENTRY)
_FREE_ON_GROUND = hits.actions(A.WAIT, A.WALK_SLOW, A.WALK_FAST, A.DASH, A.RUN, A.SQUAT_WAIT)
_RISING = hits.actions(A.JUMP_F, A.JUMP_B, A.JUMP_AERIAL_F, A.JUMP_AERIAL_B)
_FREE_IN_AIR = _RISING | hits.actions(A.FALL, A.DAMAGE_FALL)
_LOOPING = hits.actions(
    A.WAIT, A.WALK_SLOW, A.WALK_FAST, A.RUN, A.SQUAT_WAIT, A.FALL, A.DAMAGE_FALL, A.GUARD
)
_LANDING: Ints = np.full(400, A.LANDING, np.int64)
_LANDING[A.ATTACK_AIR_N], _LANDING[A.ATTACK_AIR_F] = A.LANDING_AIR_N, A.LANDING_AIR_F
_DURATION: Ints = np.full(400, np.iinfo(np.int64).max // 2, np.int64)
for _action, _frames in {
    A.LANDING: 4,
    A.LANDING_AIR_N: 16,
    A.LANDING_AIR_F: 22,
    A.ATTACK_11: 16,
    A.ATTACK_DASH: 30,
    A.ATTACK_S4: 36,
    A.ATTACK_AIR_N: 28,
    A.ATTACK_AIR_F: 32,
    A.GUARD_OFF: 8,
    A.GUARD_SET_OFF: 10,
    A.ENTRY: _ENTRY,
}.items():
    _DURATION[_action] = _frames
