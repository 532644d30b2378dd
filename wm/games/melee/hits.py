"""Attacks of made Melee: who hits whom, how hard, and what follows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wm.games.melee.bodies import Action, Bodies, Floats, Mask, character_values, is_one_of
from wm.games.melee.vocabulary import VOCABULARY


class Attack(NamedTuple):
    """One attack. The hitbox is a box before the attacker."""

    action: Action
    first: int
    """First and last age at which it can hit."""
    last: int
    damage: float
    reach: float
    height: float
    base: float
    """Knockback at 0 %."""
    angle: float
    """Of the launch, degrees above the horizontal."""
    id: int
    """What ``last_attack`` becomes; ids of the real game."""


ATTACKS = (
    Attack(Action.ATTACK_11, 3, 5, 4, 15, 12, 12, 45, 2),
    Attack(Action.ATTACK_DASH, 5, 10, 8, 14, 12, 30, 55, 6),
    Attack(Action.ATTACK_S4, 12, 15, 15, 19, 13, 32, 38, 10),
    Attack(Action.ATTACK_AIR_N, 4, 12, 10, 13, 13, 24, 50, 13),
    Attack(Action.ATTACK_AIR_F, 8, 12, 13, 16, 14, 28, 42, 14),
)

STUN = 10
"""Least frames of hitstun. No attack lasts as long after its first hit, so none hits twice."""

_GROWTH = 0.06
_SPEED_PER_KNOCKBACK = 0.03
_SHIELD_DAMAGE = 0.7
_LAUNCH = 1.1
_FLY = 2.0


def land(body: Bodies, active: Mask) -> None:
    """Let every active attack meet the other body: damage, knockback, hitlag, or shield.

    Both directions are judged before either takes effect, so that attacks can trade.
    """
    of = {name: table[body.action] for name, table in _TABLES.items()}
    dx, dy = body.x[:, ::-1] - body.x, body.y[:, ::-1] - body.y
    ahead = dx * body.facing
    meets = (
        active
        & (body.state_age >= of["first"])
        & (body.state_age <= of["last"])
        & (ahead >= -3)
        & (ahead <= of["reach"])
        & (np.abs(dy) <= of["height"])
    )
    safe = (
        (body.hurtbox > 0) | (body.hitlag > 0) | (_JUST_HIT[body.action] & (body.state_age < STUN))
    )
    meets &= ~safe[:, ::-1]
    if not meets.any():
        return
    hit = meets[:, ::-1]
    damage = of["damage"][:, ::-1]
    away = body.facing[:, ::-1].copy()
    shielded = hit & GUARDED[body.action]
    struck = hit & ~shielded
    body.combo[struck[:, ::-1]] += 1
    body.last_attack[struck[:, ::-1]] = of["id"][struck[:, ::-1]].astype(np.int64)
    _strike(body, struck, damage, of["base"][:, ::-1], np.radians(of["angle"][:, ::-1]), away)
    _push(body, shielded, damage, away)
    body.hitlag[hit] = np.floor(damage / 3 + 3)[hit]
    body.hitlag[meets] = np.floor(of["damage"] / 3 + 3)[meets]


def _strike(
    body: Bodies, who: Mask, damage: Floats, base: Floats, angle: Floats, away: Floats
) -> None:
    percent = (body.percent + damage).astype(np.float32)
    weight = character_values(body.character, "weight")
    knockback = (base + _GROWTH * damage * percent) * 200 / (100 + weight)
    speed = knockback * _SPEED_PER_KNOCKBACK
    launched = who & (~body.on_ground | (speed > _LAUNCH))
    jumps = character_values(body.character, "jumps")
    lifted = launched & body.on_ground
    body.percent[who] = percent[who]
    body.stop(who)
    body.knockback_x[who] = (away * speed * np.cos(angle)).astype(np.float16)[who]
    body.knockback_y[launched] = (speed * np.sin(angle)).astype(np.float16)[launched]
    body.jumps[lifted] = (jumps - 1)[lifted]
    body.on_ground[launched] = False
    body.facing[who] = -away[who]
    flying = np.where(speed > _FLY, Action.DAMAGE_FLY_N, Action.DAMAGE_AIR_1)
    body.enter(who, np.where(launched, flying, Action.DAMAGE_N_1))


def _push(body: Bodies, who: Mask, damage: Floats, away: Floats) -> None:
    body.shield[who] = np.maximum(body.shield - _SHIELD_DAMAGE * damage, 0)[who]
    body.self_x_ground[who] = (away * (0.3 + 0.05 * damage)).astype(np.float16)[who]
    body.self_x_air[who] = body.self_x_ground[who]
    body.enter(who, Action.GUARD_SET_OFF)


ATTACKING = is_one_of(*(attack.action for attack in ATTACKS))
DAMAGED = is_one_of(Action.DAMAGE_N_1, Action.DAMAGE_AIR_1, Action.DAMAGE_FLY_N)
GUARDED = is_one_of(Action.GUARD, Action.GUARD_SET_OFF)
_JUST_HIT = DAMAGED | is_one_of(Action.GUARD_SET_OFF)
_TABLES = {name: np.zeros(VOCABULARY["action"], np.float32) for name in Attack._fields[1:]}
_TABLES["last"] -= 1  # an action that is no attack is never of a hitting age
for _attack in ATTACKS:
    for _name, _table in _TABLES.items():
        _table[_attack.action] = getattr(_attack, _name)
