"""What the world model's 1,050 outputs mean: residuals over a kinematic prior, and categories.

Copying the last frame is a strong guess for most columns, and gliding on at the recorded speed for
positions; a model that predicts the difference to that guess starts where the baselines end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wm.models.melee_features import CATEGORIES, CORE, DYNAMICS, VELOCITY, Frames, numeric

OUTPUTS = 1050
"""8 core, 6 binary, 10 velocity, 6 dynamics, 2 x 510 categorical; player 0 before player 1."""
CONTINUOUS = CORE + VELOCITY + DYNAMICS
"""Columns of a player's residuals, in order."""
TELEPORT = 30.0
"""Units in one frame that no speed explains: a respawn, not motion."""


class Heads(NamedTuple):
    """Outputs by meaning; ``...`` are the leading dimensions of the outputs."""

    continuous: Tensor
    """[..., 2, 12]: scaled residuals of CONTINUOUS over :func:`prior`."""
    binary: Tensor
    """[..., 2, 3]: logits."""
    categories: tuple[Tensor, ...]
    """[..., 2, size] logits for each of CATEGORIES."""


def split(outputs: Tensor) -> Heads:
    """[..., 1050] -> :class:`Heads`."""
    core, binary, velocity, dynamics, categories = (
        part.reshape(*part.shape[:-1], 2, -1)
        for part in torch.split(outputs, [8, 6, 10, 6, 1020], -1)
    )
    return Heads(
        continuous=torch.cat((core, velocity, dynamics), -1),
        binary=binary,
        categories=tuple(torch.split(categories, list(CATEGORIES.values()), -1)),
    )


def continuous(frames: Frames) -> Tensor:
    """[..., 2, 12]: CONTINUOUS in game units."""
    return torch.cat((frames.core, frames.velocity, frames.dynamics), -1)


def speed(frames: Frames) -> Tensor:
    """Recorded velocity, self + knockback, [..., 2, 2] in units per frame.

    On the ground the vertical self speed is a leftover of the landing and moves nobody.
    """
    self_x = torch.where(frames.on_ground, frames.velocity[..., 2], frames.velocity[..., 0])
    self_y = torch.where(frames.on_ground, 0.0, frames.velocity[..., 1])
    return torch.stack((self_x, self_y), -1) + frames.velocity[..., 3:5]


def prior(frames: Frames) -> Tensor:
    """Guess of the next frame's CONTINUOUS, [..., 2, 12] in game units.

    Positions glide at the recorded speed, except in hitlag, when nothing moves; hitlag counts down;
    everything else stays.
    """
    hitlag = frames.dynamics[..., :1]
    position = frames.position + torch.where(hitlag > 0, 0.0, speed(frames))
    core = torch.cat((frames.core[..., :1], position, frames.core[..., 3:]), -1)
    dynamics = torch.cat(((hitlag - 1).clamp(min=0), frames.dynamics[..., 1:]), -1)
    return torch.cat((core, frames.velocity, dynamics), -1)


class Scales(nn.Module):
    """Units of a model's inputs and residuals, fitted on training frames, saved with the weights.

    Buffers, not parameters: ``mean`` and ``std`` of the inputs, ``residual`` of the targets.
    """

    mean: Tensor
    std: Tensor
    residual: Tensor

    def __init__(self, state_age_embed: bool) -> None:
        super().__init__()
        self.state_age_embed = state_age_embed
        width = 28 if state_age_embed else 29
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.register_buffer("residual", torch.ones(len(CONTINUOUS)))

    @torch.no_grad()
    def fit(self, frames: Frames) -> None:
        """Take the units from sequences of consecutive frames, [B, T] with T > 1."""
        numbers = numeric(frames, self.state_age_embed).flatten(0, -2)
        count = len(CONTINUOUS) + (not self.state_age_embed)
        self.mean[:count] = numbers.mean(0)[:count]
        self.std[:count] = numbers.std(0).clamp(min=1e-3)[:count]

        residual = (continuous(frames[:, 1:]) - prior(frames[:, :-1])).flatten(0, -2)
        self.residual.copy_(residual.clamp(-TELEPORT, TELEPORT).square().mean(0).sqrt())
        self.residual.clamp_(min=1e-3)
