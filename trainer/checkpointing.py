"""Between a training's live objects and the checkpoints in the store."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import nn

from trainer.config import TrainConfig
from trainer.optim import Ema, Optimizer, Schedule
from trainer.parts import Parts
from trainer.team import Team
from wm.artifacts.checkpoint import (
    Checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from wm.errors import BadConfig, InputMissing
from wm.stage import StageSpec
from wm.store import Store

logger = logging.getLogger("wm.trainer")

DECIDES = (
    *("data", "model", "games", "batch", "seed", "length", "mode", "burn_in", "labels"),
    *("loss", "rare_actions", "mirror", "swap_players", "board_weight"),
    *("min_context", "winner_mask", "winner_weight", "phase_weights", "lr", "schedule", "warmup"),
    *("lr_floor", "plateau_factor", "plateau_patience", "weight_decay", "clip", "ema"),
)
"""Settings that may not change between a checkpoint and the training that goes on from it. Others
may: a run can be shortened, validated more often, or go on with other processes, devices or
``model.backend``."""


@dataclass(frozen=True)
class Checkpoints:
    """Saves and restores model, optimizer, schedule, average and position.

    The random state needs no place of its own: generators are seeded anew for every step from seed
    and position, and the order is a function of both.
    """

    store: Store
    spec: StageSpec
    config: TrainConfig
    team: Team
    model: nn.Module
    optimizer: Optimizer
    schedule: Schedule
    ema: Ema | None
    parts: Parts

    def save(self, step: int) -> None:
        """Publish the state after ``step`` updates and delete what is too old."""
        if not self.team.leads:
            return
        spec, config = self.spec, self.config
        state = {
            "config": config.model_dump(mode="json"),
            "schedule": self.schedule.state(),
            "parts": self.parts.count,
        }
        tensors = {name: t.detach().cpu().numpy() for name, t in self._tensors().items()}
        save_checkpoint(self.store, spec.prefix, step, tensors, state)
        prune_checkpoints(self.store, spec.run, spec.stage, config.keep)

    def restore(self) -> Checkpoint | None:
        """Take over the stage's newest whole checkpoint, whichever attempt made it.

        Where there is none, that of the stage which this one continues. Raises :class:`BadConfig`
        where it belongs to a training of other settings, :class:`InputMissing` where the stage to
        continue has none either.
        """
        found = newest_checkpoint(self.store, self.spec.run, self.spec.stage)
        if found is None and self.config.continues is not None:
            found = self._continued(self.config.continues)
        if found is None:
            return None
        self._check(found)
        self.take_over(found)
        return found

    @torch.no_grad()
    def take_over(self, found: Checkpoint) -> None:
        """Let everything be as it was then."""
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.from_numpy(found.tensors[name]))
        self.schedule.restore(found.state["schedule"])
        # In as many parts as then, or the last bits would differ.
        self.parts.count = max(self.parts.count, found.state.get("parts", 1))

    def foreign(self, found: Checkpoint) -> bool:
        """Whether a checkpoint is another stage's."""
        return not found.key.startswith(f"runs/{self.spec.run}/{self.spec.stage}/")

    def _continued(self, stage: str) -> Checkpoint:
        found = newest_checkpoint(self.store, self.spec.run, stage)
        if found is None:
            raise InputMissing(
                f"{self.spec.stage} is to continue {stage}, which has no whole checkpoint in run "
                f"{self.spec.run}",
                hint=f"`wmctl status {self.spec.run}` shows how {stage} ended; it must come first",
            )
        return found

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Everything that is a tensor, by name; of the live objects, not copies."""
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": t for name, t in self.ema.model.state_dict().items()}
        tensors |= {f"optimizer.{name}": t for name, t in self.optimizer.tensors().items()}
        return tensors

    def _check(self, found: Checkpoint) -> None:
        # Through the settings' own class: what an older version did not know had its default.
        kept = TrainConfig.model_validate(found.state["config"])
        then, now = (one.model_dump(mode="json") for one in (kept, self.config))
        # What computes a model decides no more than how it rounds.
        was, goes_on = (one["model"].pop("backend", "torch") for one in (then, now))
        hint = "restore that setting, or submit under another run"
        if self.foreign(found):
            hint = "a stage that continues another needs the same setting"
        for name in DECIDES:
            if then[name] != now[name]:
                raise BadConfig(
                    f"{found.key} was made with {name} {then[name]}, this training has {now[name]}",
                    hint=hint,
                )
        if was != goes_on:
            logger.info(
                "%s was made with backend %s, this training goes on with %s: equal up to rounding",
                *(found.key, was, goes_on),
            )
