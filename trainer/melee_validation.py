"""Held-out figures of a world model, each beside what it has to beat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.config import TrainConfig
from trainer.counter import bits
from trainer.rows import Column, Games
from trainer.team import Team
from wm.errors import BadData
from wm.models.melee_baselines import constant_velocity, copy_last, horizon_errors, respawned
from wm.models.melee_features import decode
from wm.models.melee_loss import LossFunction
from wm.models.melee_metrics import calibration, expected_error, one_step
from wm.models.melee_model import WorldModel
from wm.models.melee_rollout import rollout

AT_ONCE = 256
"""Rollouts in a batch."""

Sums = dict[str, Tensor]
"""Name -> float64 [2, ...]: sum and count."""


@torch.no_grad()
def teacher_forced(
    model: WorldModel,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    team: Team,
    loss: LossFunction,
    window: bool,
    burn_in: int,
) -> dict[str, float]:
    """Loss, one-step metrics and calibration over the batches of the whole team.

    A batch is records, uint8 [B, T, 104], and their weights in the prototype's means, [B] or None.
    Every process must have at least one batch.
    """
    sums, gaps = _nothing(), _nothing()
    for records, weight in batches:
        outputs = model(records, window=window).float()
        found = loss(outputs, records, model.scales, burn_in=burn_in)
        figures = {"loss": torch.stack((found.sum, found.count))}
        figures |= one_step(outputs, records, model.scales, burn_in=burn_in, weight=weight)
        for name, pair in figures.items():
            sums[name] = sums[name] + pair.double().cpu()
        for name, pairs in calibration(outputs, records, model.scales, burn_in=burn_in).items():
            gaps[name] = gaps[name] + pairs.cpu()
    means = _means(sums, team)
    means |= {name: expected_error(gap) for name, gap in _means(gaps, team).items()}
    return {name: float(mean) for name, mean in means.items() if not mean.isnan()}


class Rollouts:
    """Rollouts of a model's own frames from fixed starts in held-out games."""

    def __init__(self, games: Games, config: TrainConfig, context: int, team: Team) -> None:
        self._horizons, self._team = config.horizons, team
        self._context = max(context, 2)  # gliding on needs the step before
        self._ahead = max(config.horizons)
        self.games = self._choose(games, config)
        """Numbers of the games that rollouts start in, over all processes."""
        self._starts = self._pick(games, config)[team.rank :: team.world]

    def metrics(self, model: WorldModel, frames: Column) -> dict[str, float]:
        """Errors at each horizon of the model, of copying and of gliding on, and its skill.

        Skill is 1 - error / error of a baseline; without a suffix, of the better baseline, which
        for all but positions is copying. For actions the error is the share of wrong ones.
        Positions and percents that a respawn lies before are left out, and so is a figure of
        which there is no case.
        """
        sums = _nothing()
        for first in range(0, len(self._starts), AT_ONCE):
            rows = self._starts[first : first + AT_ONCE]
            for name, pair in self._errors(model, frames, rows).items():
                sums[name] = sums[name] + pair.double().cpu()
        means = _means(sums, self._team)
        metrics: dict[str, float] = {}
        for i, horizon in enumerate(self._horizons):
            at = {name: float(mean[i]) for name, mean in means.items() if not mean[i].isnan()}
            metrics |= {f"{name}@h={horizon}": x for name, x in (_skills(at) | at).items()}
        return metrics

    def _errors(self, model: WorldModel, frames: Column, rows: NDArray[np.int64]) -> Sums:
        records = frames.gather(rows, self._context + self._ahead)
        past, future = records[:, : self._context], records[:, self._context :]
        seen, truth = decode(past), decode(future)
        smooth = ~respawned(seen[:, -1], truth, self._horizons)
        sums: Sums = {}
        for suffix, guess in (
            ("", rollout(model, past, future)),
            ("_copy", copy_last(seen, self._ahead)),
            ("_constant_velocity", constant_velocity(seen, self._ahead)),
        ):
            errors = horizon_errors(guess, truth, self._horizons)
            sums[f"position_mae{suffix}"] = _where(errors["position"], smooth)
            if suffix != "_constant_velocity":  # gliding on changes positions alone
                sums[f"percent_mae{suffix}"] = _where(errors["percent"], smooth)
                everywhere = torch.ones_like(smooth)
                sums[f"velocity_mae{suffix}"] = _where(errors["velocity"], everywhere)
                sums[f"action_accuracy{suffix}"] = _where(1 - errors["action"], everywhere)
        return sums

    def _choose(self, games: Games, config: TrainConfig) -> NDArray[np.int64]:
        """Games that are long enough, evenly over the split."""
        need = self._context + self._ahead
        long = np.flatnonzero(games.length >= need)
        chosen = long[_spread(len(long), config.validate_games)]
        if len(chosen) * config.starts_per_game < self._team.world:
            raise BadData(
                f"{config.data} has too few held-out games of {need} frames for rollouts of "
                f"{self._ahead} frames",
                hint="lower horizons, encode more games, or give the val split a larger share",
            )
        return chosen

    def _pick(self, games: Games, config: TrainConfig) -> NDArray[np.int64]:
        """First rows of the rollouts' contexts, the same at every validation."""
        need, chosen = self._context + self._ahead, self.games
        draws = bits(config.seed, "rollout", chosen[:, None], np.arange(config.starts_per_game))
        offsets = draws % (games.length[chosen, None] - need + 1).astype(np.uint64)
        return (games.first[chosen, None] + offsets.astype(np.int64)).ravel()


def _spread(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _nothing() -> Sums:
    return defaultdict(lambda: torch.zeros((), dtype=torch.float64))


def _where(values: Tensor, mask: Tensor) -> Tensor:
    """[2, H]: sum and count over the rows of [B, H] where ``mask`` holds."""
    return torch.stack(((values * mask).sum(0), mask.sum(0)))


def _means(sums: Sums, team: Team) -> Sums:
    """Quotients after adding up over the team; NaN where nothing was counted."""
    total = team.sum(torch.stack(list(sums.values())).to(team.device)).cpu()
    if not total.isfinite().all():
        raise BadData(
            "the model's held-out predictions are not finite", hint="lower lr, or set clip"
        )
    return dict(zip(sums, total[:, 0] / total[:, 1], strict=True))


def _skills(at: dict[str, float]) -> dict[str, float]:
    """Skill in each family; none where the baseline makes no error."""
    found = {}
    names = ("position_mae", "position_mae_copy", "position_mae_constant_velocity")
    if all(at.get(name) for name in names[1:]):
        error, copy, velocity = (at[name] for name in names)
        found = {
            "position_skill": 1 - error / min(copy, velocity),
            "position_skill_copy": 1 - error / copy,
            "position_skill_constant_velocity": 1 - error / velocity,
        }
    for family in ("percent", "velocity"):
        if held := at.get(f"{family}_mae_copy"):
            found[f"{family}_skill"] = 1 - at[f"{family}_mae"] / held
    if wrong := 1 - at["action_accuracy_copy"]:
        found["action_skill"] = 1 - (1 - at["action_accuracy"]) / wrong
    return found
