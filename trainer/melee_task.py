"""Melee: sequences of frames, the loss at every position or at the end of short windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainer.config import TrainConfig
from trainer.counter import bits
from trainer.melee_augment import mirror, swap_players, symmetric
from trainer.melee_validation import Rollouts, teacher_forced
from trainer.order import Order
from trainer.rows import Column, Games
from trainer.subset import train_games
from trainer.task import TaskLoss
from trainer.team import Team
from wm.artifacts.dataset import Dataset, Split
from wm.errors import BadConfig, BadData
from wm.models.config import LSTMConfig
from wm.models.melee_features import decode
from wm.models.melee_loss import LOSSES, LossFunction, rarity, residual_loss
from wm.models.melee_metrics import batch_weights
from wm.models.melee_model import WorldModel

logger = logging.getLogger("wm.trainer")

FIT_ON = 512
"""Sequences from which the units of inputs and residuals are taken."""


class Segments:
    """The runs of ``targets`` + 1 frames that a split is cut into, none across two games.

    With ``every``, a game of n frames is (n - 1) // targets runs. They are ``targets`` apart on a
    circle of all possible starts, turned by a fresh random offset each epoch: so each start is
    equally likely, and no two runs of an epoch are the same. Otherwise every start is its own item.
    """

    def __init__(self, split: Split, targets: int, every: bool, seed: int) -> None:
        self.games = Games(split)
        self._targets, self._every, self._seed = targets, every, seed
        starts = np.maximum(self.games.length - targets, 0)
        runs = (self.games.length - 1) // targets if every else starts
        self._runs, self._starts = runs, starts
        self._before = np.cumsum(np.concatenate([[0], runs]))

    def __len__(self) -> int:
        return int(self._before[-1])

    @property
    def usable(self) -> NDArray[np.int64]:
        """Numbers of the games that are long enough for a run."""
        return np.flatnonzero(self._starts)

    @property
    def too_short(self) -> int:
        """Games without a single run."""
        return len(self.games) - len(self.usable)

    def keep(self, games: NDArray[np.int64]) -> None:
        """Take runs of these games alone."""
        runs = np.zeros_like(self._runs)
        runs[games] = self._runs[games]
        self._before = np.cumsum(np.concatenate([[0], runs]))

    def game(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of each item's game."""
        found: NDArray[np.int64] = np.searchsorted(self._before, items, "right") - 1
        return found

    def first_row(self, epochs: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row at which each item starts in its epoch."""
        game = self.game(items)
        number = items - self._before[game]
        if self._every:
            turn = bits(self._seed, "offset", epochs, game) % self._starts[game].astype(np.uint64)
            number = (turn.astype(np.int64) + number * self._targets) % self._starts[game]
        rows: NDArray[np.int64] = self.games.first[game] + number
        return rows


class MeleeTask:
    """See :class:`trainer.task.Task`."""

    def __init__(self, config: TrainConfig, data: Dataset, team: Team) -> None:
        if isinstance(config.model, LSTMConfig):
            raise BadConfig("model kind lstm cannot play melee", hint="use mlp or mamba2")
        self._config, self._team = config, team
        self._window = config.mode == "window"
        self._targets = config.model.context if self._window else config.length
        # An MLP predicts nothing before its window is full; a sequence must be longer than that.
        burnt = config.model.context if config.model.kind == "mlp" else config.burn_in
        if not self._window and self._targets < max(burnt, 1):
            raise BadConfig(
                f"length {config.length} is shorter than the model's context {burnt}",
                hint=f"take a length of at least {burnt + 1}",
            )
        self._burn_in = 0 if self._window or config.model.kind == "mlp" else config.burn_in
        self._segments = self._cut(data.split("train"))
        self._chosen = train_games(config, team, self._segments.games, self._segments.usable)
        self._segments.keep(self._chosen)
        self._held_out = self._cut(data.split("val"))
        self._frames = Column(data.split("train"), "frames", team.device)
        self._held_out_frames = Column(data.split("val"), "frames", team.device)
        self._order = Order(len(self._segments), config.batch, config.groups, config.seed)
        self._items = self._spread_items()
        self._loss: LossFunction = LOSSES[config.loss]
        self._rollouts = Rollouts(self._held_out.games, config, config.model.context, team)

    @property
    def games(self) -> int:
        return len(self._chosen)

    @property
    def units(self) -> int:
        return len(np.union1d(self._held_out.game(self._items), self._rollouts.games))

    def prepare(self, model: nn.Module) -> None:
        count = min(FIT_ON, len(self._segments))
        items = np.unique(np.linspace(0, len(self._segments) - 1, count).astype(np.int64))
        rows = self._segments.first_row(np.zeros_like(items), items)
        frames = decode(self._frames.gather(rows, self._targets + 1))
        cast(WorldModel, model).scales.fit(frames)
        if exponent := self._config.rare_actions:
            # A function of settings and data, so nothing of it needs to be in a checkpoint.
            self._loss = partial(residual_loss, action_weight=rarity(frames, exponent))

    def batch(self, step: int) -> Tensor:
        """uint8 [B, T + 1, 104]."""
        epochs, items = self._order.share(step, self._team.rank, self._team.world)
        rows = self._segments.first_row(epochs, items)
        return self._augmented(step, self._frames.gather(rows, self._targets + 1))

    def loss(self, model: nn.Module, batch: Tensor) -> TaskLoss:
        outputs = model(batch, window=self._window)
        scales = cast(WorldModel, model).scales
        found = self._loss(outputs.float(), batch, scales, burn_in=self._burn_in)
        return TaskLoss(found.sum, found.count)

    def names(self, step: int) -> list[str]:
        _, items = self._order.share(step, self._team.rank, self._team.world)
        return self._segments.games.names(self._segments.game(items))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """One step ahead with recorded frames before it, and rollouts of the model's own frames.

        ``loss`` is the one that is trained. The prototype's figures (``prototype.*``) are there for
        either; in mode ``window`` they are its means over batches of ``batch`` windows, the short
        last one weighing as much as the others, however many processes share them. In mode
        ``every`` there are no such batches, and they are means over all predicted frames.
        """
        world = cast(WorldModel, model)
        one_step = teacher_forced(
            *(world, self._held_out_batches(), self._team, self._loss, self._window),
            burn_in=self._burn_in,
        )
        return one_step | self._rollouts.metrics(world, self._held_out_frames)

    def _held_out_batches(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """This process's held-out sequences, and what each counts in the prototype's means."""
        mine = slice(self._team.rank, None, self._team.world)
        items = self._items[mine]
        weights = batch_weights(len(self._items), self._config.batch)[mine]
        rows = self._held_out.first_row(np.zeros_like(items), items)
        for first in range(0, len(rows), self._config.batch):
            part = slice(first, first + self._config.batch)
            records = self._held_out_frames.gather(rows[part], self._targets + 1)
            yield records, weights[part] if self._window else None

    def _augmented(self, step: int, records: Tensor) -> Tensor:
        """This process's part of batch ``step``, some of it mirrored or with swapped players.

        Which sequences is a function of seed, step and slot in the whole batch.
        """
        config = self._config
        slots = self._team.rank * len(records) + np.arange(len(records))

        def drawn(purpose: str) -> Tensor:
            heads = bits(config.seed, purpose, step, slots) >> np.uint64(63) == 1
            return torch.from_numpy(heads).to(records.device)

        if config.mirror:
            turned = (drawn("mirror") & symmetric(records)).view(-1, 1, 1)
            records = torch.where(turned, mirror(records), records)
        if config.swap_players:
            swapped = drawn("swap").view(-1, 1, 1)
            records = torch.where(swapped, swap_players(records), records)
        return records

    def _spread_items(self) -> NDArray[np.int64]:
        """Held-out runs, evenly over the split and the same at every validation."""
        most = self._config.validate_games * self._config.starts_per_game
        count = min(most, len(self._held_out))
        items = np.unique(np.linspace(0, len(self._held_out) - 1, count).astype(np.int64))
        if len(items) < self._team.world:
            raise BadData(
                f"{self._config.data} has fewer held-out sequences than there are processes",
                hint="encode more games, or give the val split a larger share",
            )
        return items

    def _cut(self, split: Split) -> Segments:
        segments = Segments(split, self._targets, not self._window, self._config.seed)
        if not len(segments):
            raise BadData(
                f"{self._config.data} has no game of more than {self._targets} frames in its "
                f"{split.name} split ({split.games} games)",
                hint="lower length, encode more games, or give that split a larger share",
            )
        if segments.too_short and self._team.leads:
            logger.info(
                "%d of %d %s games have %d frames or fewer and are left out",
                *(segments.too_short, split.games, split.name, self._targets),
            )
        return segments
