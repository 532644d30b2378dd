"""What losses and metrics of the world model are made of: terms per predicted frame, unsummed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wm.models.melee_features import Frames, decode, prototype_scale
from wm.models.melee_heads import Heads, continuous

_PROTOTYPE_CATEGORIES = (2.0, 0.5, 0.3, 0.3, 0.3, 0.3)


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


def flags_cross_entropy(heads: Heads, target: Frames) -> Tensor:
    """[B, P]: cross-entropy in nats, mean over flags and players."""
    loss = F.binary_cross_entropy_with_logits(heads.binary, target.binary, reduction="none")
    return loss.mean((-1, -2))


def category_cross_entropy(heads: Heads, target: Frames, i: int) -> Tensor:
    """[B, P, 2]: cross-entropy in nats of category ``i``."""
    logits, ids = heads.categories[i], target.categories[..., i]
    return F.cross_entropy(logits.flatten(0, -2), ids.flatten(), reduction="none").view(ids.shape)


def prototype_total(heads: Heads, target: Frames) -> Tensor:
    """[B, P]: what the prototype minimises and calls val_loss, in its own units.

    1 MSE(core) + 0.5 MSE(velocity) + 0.5 MSE(dynamics) + 0.5 BCE(binary) + 2 CE(action)
    + 0.5 CE(jumps) + 0.3 CE of each other category. It compares deltas; their difference is that
    of the values.
    """
    unit = prototype_scale(heads.continuous)
    square = ((heads.continuous - continuous(target)) * unit).square()
    total = (
        square[..., :4].mean((-1, -2))
        + 0.5 * square[..., 4:9].mean((-1, -2))
        + 0.5 * square[..., 9:].mean((-1, -2))
        + 0.5 * flags_cross_entropy(heads, target)
    )
    for i, weight in enumerate(_PROTOTYPE_CATEGORIES):
        total = total + weight * category_cross_entropy(heads, target, i).mean(-1)
    return total
