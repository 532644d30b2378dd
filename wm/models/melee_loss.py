"""Losses of the world model, and the metrics that go with them.

Everything is a sum and a count in tensors, so that nothing waits for the device and batches of
different sizes add up correctly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from wm.models.melee_features import CATEGORIES, PROTOTYPE_SCALE, Frames, decode
from wm.models.melee_heads import Heads, Scales, continuous, read, reborn, speed

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
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Name -> [2]: sum and count of a metric, without gradient."""


class LossFunction(Protocol):
    """Outputs [B, P, 1050] of the last P frames of records [B, T, 104] -> :class:`Loss`.

    ``valid``, bool [B, T], is false beyond a game's end. The first ``burn_in`` predicted frames
    have too little context to learn from and are left out. ``detail`` adds the metrics.
    """

    def __call__(
        self,
        outputs: Tensor,
        records: Tensor,
        scales: Scales,
        *,
        valid: Tensor | None = None,
        burn_in: int = 0,
        detail: bool = False,
    ) -> Loss: ...


def residual_loss(
    outputs: Tensor,
    records: Tensor,
    scales: Scales,
    *,
    valid: Tensor | None = None,
    burn_in: int = 0,
    detail: bool = False,
) -> Loss:
    """The default: Huber on unit-variance residuals over the kinematic prior, CE, BCE.

    A rebirth is no motion: its position and percent are left out.
    """
    last, target, mask = align(records, outputs.shape[1], valid, burn_in)
    heads = read(outputs, last, scales)
    error = (heads.continuous - continuous(target)) / scales.residual
    huber = F.smooth_l1_loss(error, torch.zeros_like(error), beta=HUBER, reduction="none")
    moved = ~reborn(last.action, target.action)
    changed = target.action != last.action

    terms = {
        "position": (huber[..., 1:3].mean(-1) * moved).mean(-1),
        "percent": (huber[..., 0] * moved).mean(-1),
        "velocity": huber[..., 4:9].mean((-1, -2)),
        "dynamics": torch.cat((huber[..., 3:4], huber[..., 9:]), -1).mean((-1, -2)),
        "binary": _bce(heads, target),
    }
    weight = 1 + (CHANGE_WEIGHT - 1) * changed
    for i, name in enumerate(CATEGORIES):
        terms[name] = (_cross_entropy(heads, target, i) * weight).mean(-1)

    total = torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum(0)
    metrics = _metrics(heads, last, target, mask) if detail else {}
    return Loss((total * mask).sum(), mask.sum(), metrics)


def prototype_loss(
    outputs: Tensor,
    records: Tensor,
    scales: Scales,
    *,
    valid: Tensor | None = None,
    burn_in: int = 0,
    detail: bool = False,
) -> Loss:
    """The prototype's val_loss: squared errors in its own units, every frame alike.

    1 MSE(core) + 0.5 MSE(velocity) + 0.5 MSE(dynamics) + 0.5 BCE(binary) + 2 CE(action)
    + 0.5 CE(jumps) + 0.3 CE of each other category. It compares deltas; their difference is that
    of the values.
    """
    last, target, mask = align(records, outputs.shape[1], valid, burn_in)
    heads = read(outputs, last, scales)
    unit = outputs.new_tensor(PROTOTYPE_SCALE)
    square = ((heads.continuous - continuous(target)) * unit).square()
    total = (
        square[..., :4].mean((-1, -2))
        + 0.5 * square[..., 4:9].mean((-1, -2))
        + 0.5 * square[..., 9:].mean((-1, -2))
        + 0.5 * _bce(heads, target)
    )
    for i, weight in enumerate((2.0, 0.5, 0.3, 0.3, 0.3, 0.3)):
        total = total + weight * _cross_entropy(heads, target, i).mean(-1)
    metrics = _metrics(heads, last, target, mask) if detail else {}
    return Loss((total * mask).sum(), mask.sum(), metrics)


LOSSES: dict[str, LossFunction] = {"residual": residual_loss, "prototype": prototype_loss}
"""Losses by the name that configurations use."""


def align(
    records: Tensor, count: int, valid: Tensor | None, burn_in: int
) -> tuple[Frames, Frames, Tensor]:
    """Frames before the last ``count``, the last ``count``, and which of these count: [B, P]."""
    frames = decode(records)
    if valid is None:
        valid = torch.ones(records.shape[:2], dtype=torch.bool, device=records.device)
    mask = valid[:, -count:].clone()
    mask[:, :burn_in] = False
    return frames[:, -count - 1 : -1], frames[:, -count:], mask


def _bce(heads: Heads, target: Frames) -> Tensor:
    loss = F.binary_cross_entropy_with_logits(heads.binary, target.binary, reduction="none")
    return loss.mean((-1, -2))


def _cross_entropy(heads: Heads, target: Frames, i: int) -> Tensor:
    """[B, P, 2]: cross-entropy in nats of category ``i``."""
    logits, ids = heads.categories[i], target.categories[..., i]
    return F.cross_entropy(logits.flatten(0, -2), ids.flatten(), reduction="none").view(ids.shape)


@torch.no_grad()
def _metrics(heads: Heads, last: Frames, target: Frames, mask: Tensor) -> dict[str, Tensor]:
    """One-step metrics of both players, teacher-forced; rebirths are left out of the numbers."""
    error = (heads.continuous - continuous(target)).abs()
    both = mask.unsqueeze(-1).expand(*mask.shape, 2)
    moved = both & ~reborn(last.action, target.action)
    right = heads.categories[0].argmax(-1) == target.action
    changed = both & (target.action != last.action)
    glide = (last.position + speed(last.velocity, last.on_ground) - target.position).abs()
    return {
        "position_mae": _mean(error[..., 1:3].mean(-1), moved),
        "position_mae_copy": _mean((last.position - target.position).abs().mean(-1), moved),
        "position_mae_constant_velocity": _mean(glide.mean(-1), moved),
        "percent_mae": _mean(error[..., 0], moved),
        "percent_mae_copy": _mean((last.core - target.core)[..., 0].abs(), moved),
        "velocity_mae": _mean(error[..., 4:9].mean(-1), both),
        "velocity_mae_copy": _mean((last.velocity - target.velocity).abs().mean(-1), both),
        "binary_accuracy": _mean(
            ((heads.binary > 0) == (target.binary > 0.5)).float().mean(-1), both
        ),
        "action_accuracy": _mean(right, both),
        "action_accuracy_copy": _mean(target.action == last.action, both),
        "change_accuracy": _mean(right, changed),
        "change_accuracy_player0": _mean(right[..., 0], changed[..., 0]),
    }


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """[2]: sum of ``values`` over ``where``, and how many there are."""
    return torch.stack(((values * where).sum().double(), where.sum().double()))
