"""A small Melee: two controlled bodies, one floor, gravity, jumps, shields, hits and stocks.

A frame follows from the frame before it and the two controllers, and from nothing else: there is
no hidden timer and no chance, and each step starts from what the packed record holds, so that a
perfect model of made games has an error of 0. As in real replays, speeds are those that moved the
body in this frame.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from wm.games.melee import hits, motion
from wm.games.melee.bodies import (
    DYING,
    STILL,
    Action,
    Bodies,
    Ints,
    Mask,
    character_values,
    is_one_of,
    stage_values,
)
from wm.games.melee.pad import RUN, WALK, Pad
from wm.games.melee.vocabulary import VOCABULARY

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
    pad = Pad.read(before, inputs)
    body = Bodies.unpack(before)
    hitlag = np.maximum(body.hitlag - 1, 0)
    frozen = hitlag > 0
    old = copy.deepcopy(body)
    body.state_age += 1
    _finish(body, pad)
    _act_on_ground(body, pad)
    _act_in_air(body, pad)
    motion.accelerate(body, pad)
    motion.move(body, old, pad, before["stage"])
    body.restore(frozen, old)
    body.hitlag = hitlag
    hits.land(body, active=~frozen)
    _die(body, before["stage"])
    _tidy(body)
    after = inputs.copy()
    after["stage"] = before["stage"]
    body.pack(after)
    return after


def _finish(body: Bodies, pad: Pad) -> None:
    """End what has lasted its time."""
    action, age = body.action, body.state_age
    lag = np.where(body.l_cancel == 1, _DURATION[action] // 2, _DURATION[action])
    over = age >= lag
    slow = np.hypot(body.knockback_x, body.knockback_y) < _HITSTUN_SPEED
    recovered = hits.DAMAGED[action] & slow & (age >= hits.STUN)
    alive = body.stocks > 0
    reborn = DYING[action] & (age >= _DEAD) & alive
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


def _take_off(body: Bodies, pad: Pad, who: Mask) -> None:
    full = character_values(body.character, "full_hop")
    short = character_values(body.character, "short_hop")
    drift = character_values(body.character, "drift")
    body.enter(who, np.where(pad.x * body.facing >= 0, Action.JUMP_F, Action.JUMP_B))
    body.on_ground[who] = False
    body.jumps[who] -= 1
    body.self_y[who] = np.where(pad.jump_held, full, short)[who]
    body.self_x_air[who] = np.clip(0.8 * body.self_x_ground + 0.4 * pad.x, -drift, drift)[who]


def _act_on_ground(body: Bodies, pad: Pad) -> None:
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


def _walk_or_run(body: Bodies, pad: Pad, free: Mask) -> None:
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


def _act_in_air(body: Bodies, pad: Pad) -> None:
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


def _die(body: Bodies, stage: NDArray[np.uint8]) -> None:
    """Take a stock from a body outside the borders."""
    side = stage_values(stage, "side")
    outside = [
        body.y < stage_values(stage, "bottom"),
        body.x < -side,
        body.x > side,
        body.y > stage_values(stage, "top"),
    ]
    gone = np.any(outside, axis=0) & ~STILL[body.action]
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
    body.hurtbox = np.where(STILL[body.action], 2, 0)
    cancelling = (body.action == Action.LANDING_AIR_N) | (body.action == Action.LANDING_AIR_F)
    body.l_cancel[~cancelling] = 0
    body.combo[~hits.DAMAGED[body.action[:, ::-1]]] = 0


_FREE_ON_GROUND = is_one_of(
    Action.WAIT, Action.WALK_SLOW, Action.WALK_FAST, Action.DASH, Action.RUN, Action.SQUAT_WAIT
)
_RISING = is_one_of(Action.JUMP_F, Action.JUMP_B, Action.JUMP_AERIAL_F, Action.JUMP_AERIAL_B)
_FREE_IN_AIR = _RISING | is_one_of(Action.FALL, Action.DAMAGE_FALL)
_LOOPING = is_one_of(
    Action.WAIT,
    Action.WALK_SLOW,
    Action.WALK_FAST,
    Action.RUN,
    Action.SQUAT_WAIT,
    Action.FALL,
    Action.DAMAGE_FALL,
    Action.GUARD,
)
_DURATION: Ints = np.full(VOCABULARY["action"], np.iinfo(np.int64).max // 2, np.int64)
for _action, _frames in {
    Action.LANDING: 4,
    Action.LANDING_AIR_N: 16,
    Action.LANDING_AIR_F: 22,
    Action.ATTACK_11: 16,
    Action.ATTACK_DASH: 30,
    Action.ATTACK_S4: 36,
    Action.ATTACK_AIR_N: 28,
    Action.ATTACK_AIR_F: 32,
    Action.GUARD_OFF: 8,
    Action.GUARD_SET_OFF: 10,
    Action.ENTRY: _ENTRY,
}.items():
    _DURATION[_action] = _frames
