"""Losses of the world model, each a sum and a count in tensors: nothing waits for the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from wm.models.melee_features import CATEGORIES, Frames
from wm.models.melee_heads import Heads, Scales, continuous, read, reborn
from wm.models.melee_terms import (
    align,
    category_cross_entropy,
    flags_cross_entropy,
    prototype_total,
)

CHANGE_WEIGHT = 5.0
"""Of frames on which a player's action changes: one in ten, and nearly all of the difficulty."""
WEIGHTS = {
    "position": 8.0,
    "percent": 0.5,
    "velocity": 8.0,
    "dynamics": 0.5,
    "binary": 0.5,
    "action": 1.0,
    "jumps": 0.25,
    "l_cancel": 0.15,
    "hurtbox": 0.15,
    "ground": 0.15,
    "last_attack": 0.15,
}
"""Of the terms of :func:`residual_loss`. Motion counts most: errors of speed add up in a rollout.
Going from 2 to 8 took position skill ten frames ahead from 0.49 to 0.68 on made games after one
minute of training, and cost no accuracy of actions."""
RAREST = 10.0
"""Largest weight of an action. One that was seen once among 60,000 frames must not outweigh a batch
when it comes up."""
HUBER = 0.1
"""Where the residual loss turns linear, in units of the residual's own scale. Most residuals are
all but zero and a few are large; errors are judged by their mean absolute value."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Sums over the predicted frames of a batch; the mean loss is ``sum / count``."""

    sum: Tensor
    """Scalar with gradient."""
    count: Tensor
    """Predicted frames, int64 scalar."""


class LossFunction(Protocol):
    """Outputs [B, P, 1050 or 1052] of the last P frames of records [B, T, 104] -> :class:`Loss`.

    ``valid``, bool [B, T], is false beyond a game's end. The first ``burn_in`` predicted frames
    have too little context to learn from and are left out.
    """

    def __call__(
        self,
        outputs: Tensor,
        records: Tensor,
        scales: Scales,
        *,
        valid: Tensor | None = None,
        burn_in: int = 0,
    ) -> Loss: ...


def residual_loss(
    outputs: Tensor,
    records: Tensor,
    scales: Scales,
    *,
    valid: Tensor | None = None,
    burn_in: int = 0,
    action_weight: Tensor | None = None,
) -> Loss:
    """The default: Huber on unit-variance residuals over the kinematic prior, CE, BCE.

    A rebirth is no motion: its position and percent are left out. ``action_weight``, [400], is what
    frames count in the loss of the action, by the action to predict (:func:`rarity`).
    """
    last, target, mask = align(records, outputs.shape[1], valid, burn_in)
    heads = read(outputs, last, scales)
    huber = _huber((heads.continuous - continuous(target)) / scales.residual)
    moved = ~reborn(last.action, target.action)
    changed = target.action != last.action

    terms = {
        "position": (huber[..., 1:3].mean(-1) * moved).mean(-1),
        "percent": (_percent(heads, huber, last, target, scales) * moved).mean(-1),
        "velocity": huber[..., 4:9].mean((-1, -2)),
        "dynamics": torch.cat((huber[..., 3:4], huber[..., 9:]), -1).mean((-1, -2)),
        "binary": flags_cross_entropy(heads, target),
    }
    weight = 1 + (CHANGE_WEIGHT - 1) * changed
    for i, name in enumerate(CATEGORIES):
        nats = category_cross_entropy(heads, target, i) * weight
        if name == "action" and action_weight is not None:
            nats = nats * action_weight[target.action]
        terms[name] = nats.mean(-1)

    total = torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum(0)
    return Loss((total * mask).sum(), mask.sum())


def prototype_loss(
    outputs: Tensor,
    records: Tensor,
    scales: Scales,
    *,
    valid: Tensor | None = None,
    burn_in: int = 0,
) -> Loss:
    """The prototype's val_loss: squared errors in its own units, every frame alike."""
    last, target, mask = align(records, outputs.shape[1], valid, burn_in)
    total = prototype_total(read(outputs, last, scales), target)
    return Loss((total * mask).sum(), mask.sum())


LOSSES: dict[str, LossFunction] = {"residual": residual_loss, "prototype": prototype_loss}
"""Losses by the name that configurations use."""


def rarity(frames: Frames, exponent: float) -> Tensor:
    """Weight of each action, float32 [400]: (mean frequency / its frequency) ** exponent.

    The mean is over the actions that occur in ``frames``; no weight is above :data:`RAREST`. With
    exponent 1 and no cap every action would count the same, and the mean frame 1.
    """
    actions = frames.action.flatten()
    count = torch.bincount(actions, minlength=CATEGORIES["action"]).double()
    mean = count.sum() / (count > 0).sum()
    return (mean / count.clamp(min=1)).pow(exponent).clamp(max=RAREST).float()


def _huber(error: Tensor) -> Tensor:
    return F.smooth_l1_loss(error, torch.zeros_like(error), beta=HUBER, reduction="none")


def _percent(heads: Heads, huber: Tensor, last: Frames, target: Frames, scales: Scales) -> Tensor:
    """[B, P, 2]: loss of percent; whether it rises, and if so to what, where that is predicted."""
    if heads.hit is None:
        return huber[..., 0]
    before, after = last.core[..., 0], target.core[..., 0]
    hit = (after > before).float()
    amount = _huber((heads.after_hit - after) / scales.residual[0])
    return F.binary_cross_entropy_with_logits(heads.hit, hit, reduction="none") + amount * hit
