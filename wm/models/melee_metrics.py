"""One-step figures of a world model, with recorded frames before each prediction.

Everything is a sum and a count in tensors, so that nothing waits for the device and batches of
different sizes add up correctly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wm.models.melee_features import Frames
from wm.models.melee_heads import Heads, Scales, continuous, read, reborn, speed
from wm.models.melee_terms import align, prototype_total

BINS = 15
"""Bins of equal width that confidences are sorted into."""

Figures = dict[str, Tensor]
"""Name -> [2]: sum and count."""


@torch.no_grad()
def one_step(
    outputs: Tensor,
    records: Tensor,
    scales: Scales,
    *,
    valid: Tensor | None = None,
    burn_in: int = 0,
    weight: Tensor | None = None,
) -> Figures:
    """Our figures and the prototype's, for outputs [B, P, ...] of the last P frames of records
    [B, T, 104]; ``valid`` and ``burn_in`` as for the losses.

    ``weight``, [B], is what each sequence counts in the prototype's means
    (:func:`batch_weights`); None: all alike.
    """
    last, target, mask = align(records, outputs.shape[1], valid, burn_in)
    heads = read(outputs, last, scales)
    return _ours(heads, last, target, mask) | _prototype(heads, last, target, mask, weight)


@torch.no_grad()
def calibration(
    outputs: Tensor, records: Tensor, scales: Scales, *, burn_in: int = 0
) -> dict[str, Tensor]:
    """How far the confidence in the most likely action is from its share of hits.

    Name -> [2, 15]: sum of confidence - right over the frames of each bin, and the count of all
    frames; :func:`expected_error` of the quotient is the expected calibration error (Guo et al.,
    "On calibration of modern neural networks", 2017). ``action_ece`` is over all frames,
    ``change_ece`` over those on which the player's action changes. A model cannot know beforehand
    which frames these are, so even a perfectly calibrated one is overconfident on them.
    """
    last, target, mask = align(records, outputs.shape[1], None, burn_in)
    logits = read(outputs, last, scales).categories[0]
    confidence, guess = logits.softmax(-1).max(-1)
    gap = confidence.double() - (guess == target.action).double()
    bins = F.one_hot((confidence * BINS).long().clamp(max=BINS - 1), BINS).double()

    def gaps(where: Tensor) -> Tensor:
        sums = ((gap * where).unsqueeze(-1) * bins).flatten(0, -2).sum(0)
        return torch.stack((sums, where.sum().double().expand(BINS)))

    both = mask.unsqueeze(-1).expand_as(gap)
    return {
        "action_ece": gaps(both),
        "change_ece": gaps(both & (target.action != last.action)),
    }


def expected_error(gaps: Tensor) -> Tensor:
    """Expected calibration error from the gap of each bin, [15] -> scalar; NaN without frames."""
    return gaps.abs().sum()


def batch_weights(count: int, batch: int) -> Tensor:
    """Weights [count] that make a mean over samples one of means over batches of ``batch``.

    The samples of a short last batch weigh more, so that it counts as much as a full one: so the
    prototype averages its figures over a validation.
    """
    weights = torch.ones(count, dtype=torch.float64)
    if short := count % batch:
        weights[-short:] = batch / short
    return weights


def _ours(heads: Heads, last: Frames, target: Frames, mask: Tensor) -> Figures:
    """Of both players; rebirths are left out of the numbers."""
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
        "binary_accuracy": _mean(_flags_right(heads, target).mean(-1), both),
        "action_accuracy": _mean(right, both),
        "action_accuracy_copy": _mean(target.action == last.action, both),
        "change_accuracy": _mean(right, changed),
        "change_accuracy_player0": _mean(right[..., 0], changed[..., 0]),
    }


def _prototype(
    heads: Heads, last: Frames, target: Frames, mask: Tensor, weight: Tensor | None
) -> Figures:
    """The prototype's figures by its own definitions: rebirths count, actions are player 0's."""
    share = mask.double()
    if weight is not None:
        share = share * weight.to(share).unsqueeze(-1)
    error = (heads.continuous - continuous(target)).abs()
    right = (heads.categories[0].argmax(-1) == target.action)[..., 0]
    changed = mask & (target.action != last.action)[..., 0]
    return {
        "prototype.val_loss": _mean(prototype_total(heads, target), share),
        "prototype.action_acc": _mean(right, share),
        "prototype.change_acc": _mean(right, changed),
        "prototype.pos_mae": _mean(error[..., 1:3].mean((-1, -2)), share),
        "prototype.damage_mae": _mean(error[..., 0].mean(-1), share),
        "prototype.velocity_mae": _mean(error[..., 4:9].mean((-1, -2)), share),
        "prototype.binary_acc": _mean(_flags_right(heads, target).mean((-1, -2)), share),
    }


def _flags_right(heads: Heads, target: Frames) -> Tensor:
    return ((heads.binary > 0) == (target.binary > 0.5)).float()


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """[2]: sum of ``values`` weighted by ``where``, and the sum of the weights."""
    return torch.stack(((values * where).sum().double(), where.sum().double()))
