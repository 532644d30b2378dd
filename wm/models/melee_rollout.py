"""Rollouts: a model's own frames, one after the other, under recorded controllers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from wm.models.melee_features import AGES, CORE, DYNAMICS, VELOCITY, Frames, decode, stack
from wm.models.melee_heads import Scales, read
from wm.models.melee_model import WorldModel

LEAST_HIT = 0.5
"""Percent below which a predicted rise is no hit. Without it, rounding errors add up to damage."""

_LOWEST = (0.0, -500.0, -500.0, 0.0) + (-50.0,) * len(VELOCITY) + (0.0,) * len(DYNAMICS)
_HIGHEST = (999.0, 500.0, 500.0, 60.0) + (50.0,) * len(VELOCITY) + (255.0,) * len(DYNAMICS)
"""Ranges of a frame; a rollout that leaves them would sooner or later leave the numbers."""


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

    Stocks fall by at most one and never rise, percent rises by hits and restarts with a stock,
    hitlag is whole frames. Controllers, characters and stage are those of ``recorded``.
    """
    heads = read(outputs, last, scales)
    numbers = heads.continuous.clamp(outputs.new_tensor(_LOWEST), outputs.new_tensor(_HIGHEST))
    core, velocity, (hitlag, stocks, combo) = (
        numbers[..., : len(CORE)],
        numbers[..., len(CORE) : -len(DYNAMICS)],
        numbers[..., -len(DYNAMICS) :].unbind(-1),
    )
    died = last.dynamics[..., 1] - stocks > 0.5
    before, percent = last.core[..., 0], core[..., 0]
    percent = torch.where(percent - before < LEAST_HIT, before, percent).masked_fill(died, 0.0)
    stocks = (last.dynamics[..., 1] - died.float()).clamp(min=0)

    categories = torch.stack([logits.argmax(-1) for logits in heads.categories], -1)
    return replace(
        recorded,
        core=torch.cat((percent.unsqueeze(-1), core[..., 1:]), -1),
        velocity=velocity,
        dynamics=torch.stack((hitlag.round(), stocks, combo.round()), -1),
        binary=(heads.binary > 0).float(),
        state_age=_age(last, categories[..., 0]),
        categories=categories,
    )


def _age(last: Frames, action: Tensor) -> Tensor:
    """Actions grow older by one a frame and stand still in hitlag; a new one starts at 0."""
    still = last.dynamics[..., 0] > 0
    older = torch.where(still, last.state_age, last.state_age + 1).clamp(max=AGES - 1)
    return torch.where(action == last.action, older, 0.0)
