"""What a world model has to beat: standing still and gliding on. And by how much it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from wm.models.melee_features import Frames
from wm.models.melee_heads import TELEPORT, speed

HORIZONS = (1, 2, 5, 10, 20, 60)
"""Frames ahead at which predictions are judged; 60 are one second."""


def copy_last(past: Frames, horizon: int) -> Frames:
    """The last of [B, K] frames again and again, [B, horizon]."""
    return past[:, -1:].map(lambda column: column.expand(-1, horizon, *column.shape[2:]))


def constant_velocity(
    past: Frames, horizon: int, source: Literal["recorded", "last_delta"] = "recorded"
) -> Frames:
    """Positions that glide on from the last of [B, K] frames, all else as it was, [B, horizon].

    ``recorded`` glides at the replay's self + knockback speed, ``last_delta`` by the last step.
    """
    last, before = past[:, -1], past[:, -2]
    step = (
        speed(last.velocity, last.on_ground)
        if source == "recorded"
        else last.position - before.position
    )
    frames = torch.arange(1, horizon + 1, device=step.device).view(1, -1, 1, 1)
    still = copy_last(past, horizon)
    position = still.position + frames * step.unsqueeze(1)
    return replace(still, core=torch.cat((still.core[..., :1], position, still.core[..., 3:]), -1))


def horizon_errors(
    predicted: Frames, truth: Frames, horizons: Sequence[int] = HORIZONS
) -> dict[str, Tensor]:
    """Errors of [B, H] frames at each horizon: family -> float32 [B, len(horizons)].

    ``position`` (mean over x, y and players, game units), ``percent``, ``shield``, ``velocity``
    (units per frame), and the shares of wrong ``action`` and wrong ``flags``.
    """
    at = torch.tensor(horizons, device=truth.stage.device) - 1
    guess, real = predicted[:, at], truth[:, at]
    core = (guess.core - real.core).abs()
    return {
        "position": core[..., 1:3].mean((-1, -2)),
        "percent": core[..., 0].mean(-1),
        "shield": core[..., 3].mean(-1),
        "velocity": (guess.velocity - real.velocity).abs().mean((-1, -2)),
        "action": (guess.action != real.action).float().mean(-1),
        "flags": (guess.binary != real.binary).float().mean((-1, -2)),
    }


def respawned(start: Frames, truth: Frames, horizons: Sequence[int] = HORIZONS) -> Tensor:
    """bool [B, len(horizons)]: whether a player jumped through a respawn since ``start`` [B].

    No motion explains such a jump, so positions after it are best reported apart.
    """
    x = torch.cat((start.position.unsqueeze(1), truth.position), 1)
    jumped = (x.diff(dim=1).abs() > TELEPORT).flatten(2).any(-1)
    return jumped.cummax(1).values[:, torch.tensor(horizons, device=x.device) - 1]


def skill(error: Tensor, *baselines: Tensor) -> Tensor:
    """1 - MAE / MAE of the best baseline at each horizon, from errors [B, horizons]: [horizons].

    1 is perfect, 0 as good as the baseline. Where the baseline makes no error, skill is 0 for a
    model that makes none either and -inf for any other.
    """
    best = torch.stack([b.mean(0) for b in baselines]).amin(0)
    mine = error.mean(0)
    return torch.where((mine == 0) & (best == 0), 0.0, 1 - mine / best)
