"""What the world model's 1,050 outputs mean: residuals over a kinematic prior, and categories.

Copying the last frame is a strong guess for most columns, and gliding on at the recorded speed for
positions; a model that predicts the difference to that guess starts where the baselines end.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from wm.models.melee_features import (
    BINARY,
    CATEGORIES,
    CORE,
    DYNAMICS,
    STAGES,
    VELOCITY,
    Frames,
    numeric,
)

OUTPUTS = 1050
"""8 core, 6 binary, 10 velocity, 6 dynamics, 2 x 510 categorical; player 0 before player 1."""
HIT_OUTPUTS = 2
"""More where a model tells hits apart (``percent: hit``): a logit for each player."""
CONTINUOUS = CORE + VELOCITY + DYNAMICS
"""Columns of a player's residuals, in order."""
TELEPORT = 30.0
"""Units in one frame that no speed explains: a respawn, not motion."""
LAST_DEATH, REBIRTH = 10, 12
"""Actions up to 10 are deaths: a stock is gone. With 12 the player is back, at 0 percent."""

_HIT_PRIOR = -4.0
"""Logit of a hit that an output of 0 stands for: one frame in fifty."""
_SMALLEST = 0.01
"""Unit of a column that never changes in training; a smaller one would blow up the first change."""


class Heads(NamedTuple):
    """Predicted frames; ``...`` are the leading dimensions of the outputs."""

    continuous: Tensor
    """[..., 2, 12]: CONTINUOUS in game units."""
    binary: Tensor
    """[..., 2, 3]: logits."""
    categories: tuple[Tensor, ...]
    """[..., 2, size] logits for each of CATEGORIES."""
    hit: Tensor | None
    """[..., 2]: logits that percent rises; None where a model has no such outputs."""
    after_hit: Tensor
    """[..., 2]: percent if it rises; without ``hit`` simply the predicted percent."""


def read(outputs: Tensor, last: Frames, scales: Scales) -> Heads:
    """Outputs [..., 1050 or 1052] as the prediction of the frame after ``last`` [...].

    With 1,052 the last two say whether the players are hit, and the percent in the others is what
    it would be then: predicted where a hit is more likely than not, else percent stays.
    """
    core, binary, velocity, dynamics, categories = (
        part.reshape(*part.shape[:-1], 2, -1)
        for part in torch.split(outputs[..., :OUTPUTS], [8, 6, 10, 6, 1020], -1)
    )
    residual = torch.cat((core, velocity, dynamics), -1) * scales.residual
    logits = torch.split(categories, list(CATEGORIES.values()), -1)
    held = last.categories.unsqueeze(-1)
    numbers = _glide(last, prior(last) + residual)
    after_hit, hit = numbers[..., 0], None
    if outputs.shape[-1] > OUTPUTS:
        hit = outputs[..., OUTPUTS:] + _HIT_PRIOR
        percent = torch.where(hit > 0, after_hit, last.core[..., 0])
        numbers = torch.cat((percent.unsqueeze(-1), numbers[..., 1:]), -1)
    return Heads(
        continuous=numbers,
        binary=binary + (2 * last.binary - 1) * scales.binary_hold,
        categories=tuple(
            table.scatter_add(
                -1, held[..., i, :], hold.to(table.dtype).expand(held[..., i, :].shape)
            )
            for i, (table, hold) in enumerate(zip(logits, scales.category_hold, strict=True))
        ),
        hit=hit,
        after_hit=after_hit,
    )


def continuous(frames: Frames) -> Tensor:
    """[..., 2, 12]: CONTINUOUS in game units."""
    return torch.cat((frames.core, frames.velocity, frames.dynamics), -1)


def speed(velocity: Tensor, on_ground: Tensor) -> Tensor:
    """Self + knockback, [..., 2, 2] in units per frame, from VELOCITY [..., 2, 5].

    On the ground the vertical self speed is a leftover of the landing and moves nobody.
    """
    self_y = velocity[..., 1].masked_fill(on_ground, 0)
    return torch.stack((velocity[..., 0], self_y), -1) + velocity[..., 3:5]


def prior(last: Frames) -> Tensor:
    """Guess of the next frame's CONTINUOUS, [..., 2, 12] in game units, before positions glide on.

    Hitlag counts down; everything else stays.
    """
    hitlag, rest = last.dynamics[..., :1], last.dynamics[..., 1:]
    return torch.cat((last.core, last.velocity, (hitlag - 1).clamp(min=0), rest), -1)


def dies(last: Tensor, action: Tensor) -> Tensor:
    """Whether an action after ``last`` begins a death."""
    return (action <= LAST_DEATH) & (last > LAST_DEATH)


def reborn(last: Tensor, action: Tensor) -> Tensor:
    """Whether an action after ``last`` begins a new life, with a jump that is no motion."""
    return (action == REBIRTH) & (last != REBIRTH)


def _glide(last: Frames, numbers: Tensor) -> Tensor:
    """Move the positions in [..., 2, 12] by the speeds beside them; nothing moves in hitlag."""
    still = last.dynamics[..., :1] > 0
    velocity = numbers[..., len(CORE) : len(CORE) + len(VELOCITY)]
    moved = numbers[..., 1:3] + speed(velocity, last.on_ground).masked_fill(still, 0)
    return torch.cat((numbers[..., :1], moved, numbers[..., 3:]), -1)


class Scales(nn.Module):
    """Units of a model's inputs and residuals, fitted on training frames, saved with the weights.

    Buffers, not parameters.
    """

    mean: Tensor
    """[28 or 29]: of a player's numbers; 0 for flags and controllers."""
    std: Tensor
    """[28 or 29]: of a player's numbers; 1 for flags and controllers."""
    residual: Tensor
    """[12]: root mean square of the residuals of CONTINUOUS over :func:`prior`."""
    binary_hold: Tensor
    """[3]: log-odds that a flag stays as it is."""
    category_hold: Tensor
    """[6]: logit of staying that, beside zeros, gives the share of frames that stay."""
    rebirth: Tensor
    """[stages, 2, 2]: where each player comes back; the mean of all stages where none was seen."""

    def __init__(self, state_age_embed: bool) -> None:
        super().__init__()
        self.state_age_embed = state_age_embed
        width = 28 if state_age_embed else 29
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.register_buffer("residual", torch.ones(len(CONTINUOUS)))
        self.register_buffer("binary_hold", torch.zeros(len(BINARY)))
        self.register_buffer("category_hold", torch.zeros(len(CATEGORIES)))
        self.register_buffer("rebirth", torch.zeros(STAGES, 2, 2))

    @torch.no_grad()
    def fit(self, frames: Frames) -> None:
        """Take the units from sequences of consecutive frames, [B, T] with T > 1."""
        numbers = numeric(frames, self.state_age_embed).flatten(0, -2)
        count = len(CONTINUOUS) + (not self.state_age_embed)
        self.mean[:count] = numbers.mean(0)[:count]
        self.std[:count] = numbers.std(0).clamp(min=_SMALLEST)[:count]

        last, target = frames[:, :-1], frames[:, 1:]
        residual = (continuous(target) - _glide(last, prior(last))).clamp(-TELEPORT, TELEPORT)
        self.residual.copy_(residual.flatten(0, -2).square().mean(0).sqrt().clamp(min=_SMALLEST))
        self.binary_hold.copy_(_log_odds(last.binary == target.binary))
        others = torch.tensor(list(CATEGORIES.values()), device=self.mean.device) - 1.0
        self.category_hold.copy_(_log_odds(last.categories == target.categories) + others.log())
        self.rebirth.copy_(_rebirths(last, target))


def _log_odds(stays: Tensor) -> Tensor:
    """Log-odds of [..., n] over all but the last dimension, as if one more had stayed or not."""
    stays = stays.flatten(0, -2)
    yes = stays.sum(0)
    return ((yes + 1) / (len(stays) - yes + 1)).log()


def _rebirths(last: Frames, target: Frames) -> Tensor:
    """Mean position of the rebirths on each stage, [stages, 2, 2]."""
    back = reborn(last.action, target.action).unsqueeze(-1)
    stage = target.stage.flatten()
    where = target.core.new_zeros(STAGES, 2, 2).index_add(
        0, stage, (target.position * back).flatten(0, -3)
    )
    count = target.core.new_zeros(STAGES, 2, 1).index_add(0, stage, back.float().flatten(0, -3))
    anywhere = where.sum(0) / count.sum(0).clamp(min=1)
    return torch.where(count > 0, where / count.clamp(min=1), anywhere)
