"""Rollouts: a model's own frames, one after the other, under recorded controllers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from wm.models.melee_features import AGES, CORE, DYNAMICS, VELOCITY, Frames, decode, stack
from wm.models.melee_heads import Scales, dies, read, reborn
from wm.models.melee_model import WorldModel

LEAST_HIT = 0.5
"""Percent below which a predicted rise is no hit. Without it, rounding errors add up to damage."""

_PERCENT, _PLACE, _SHIELD, _SPEED, _COUNT = 999, 500, 60, 50, 255
"""The most of each, up and down where it has a sign; a rollout that goes further would sooner or
later leave the numbers."""


@torch.inference_mode()
def rollout(model: WorldModel, context: Tensor, future: Tensor) -> Frames:
    """The H frames after ``context``, [B, H], as the model in eval mode sees them.

    ``context`` is uint8 [B, K, 104], K at least ``model.context``. Of ``future``, uint8
    [B, H, 104], only controllers, characters and stage are read.
    """
    past, given = decode(context), decode(future)
    memory = model.begin(past)
    frame = past[:, -1]
    predicted = []
    for h in range(future.shape[1]):
        recorded = given[:, h]
        outputs, memory = model.step(frame, recorded.controller, memory)
        frame = advance(frame, outputs, model.scales, recorded)
        predicted.append(frame)
    return stack(predicted, dim=1)


def advance(last: Frames, outputs: Tensor, scales: Scales, recorded: Frames) -> Frames:
    """Most likely frame after ``last`` [B], within the rules of the game.

    A death costs a stock, a rebirth clears percent and has its place, percent rises only by hits,
    hitlag is whole frames. Controllers, characters and stage are those of ``recorded``.
    """
    heads = read(outputs, last, scales)
    parts = [len(CORE), len(VELOCITY), len(DYNAMICS)]
    core, velocity, dynamics = torch.split(heads.continuous, parts, -1)
    percent, place = core[..., 0].clamp(0, _PERCENT), core[..., 1:3].clamp(-_PLACE, _PLACE)
    shield = core[..., 3].clamp(0, _SHIELD)
    hitlag, _, combo = dynamics.clamp(0, _COUNT).unbind(-1)
    categories = torch.stack([logits.argmax(-1) for logits in heads.categories], -1)
    action = categories[..., 0]
    lost, back = dies(last.action, action), reborn(last.action, action)

    before = last.core[..., 0]
    percent = torch.where(percent - before < LEAST_HIT, before, percent).masked_fill(back, 0)
    place = torch.where(back.unsqueeze(-1), scales.rebirth[last.stage], place)
    stocks = (last.dynamics[..., 1] - lost.float()).clamp(min=0)
    return replace(
        recorded,
        core=torch.stack((percent, *place.unbind(-1), shield), -1),
        velocity=velocity.clamp(-_SPEED, _SPEED),
        dynamics=torch.stack((hitlag.round(), stocks, combo.round()), -1),
        binary=(heads.binary > 0).float(),
        state_age=_age(last, action),
        categories=categories,
    )


def _age(last: Frames, action: Tensor) -> Tensor:
    """Actions grow older by one a frame and stand still in hitlag; a new one starts at 0."""
    still = last.dynamics[..., 0] > 0
    older = torch.where(still, last.state_age, last.state_age + 1).clamp(max=AGES - 1)
    return torch.where(action == last.action, older, 0.0)
