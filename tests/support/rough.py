"""A training that is killed again and again, beside an undisturbed twin."""

from __future__ import annotations

import random
import signal
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.blows import Hold, checkpoints, hold, last_step, what_was_hit
from tests.support.forks import Attempt, Prepare, attempt
from tests.support.training import LSTM, publish_chess, publish_melee, settings, write_spec
from trainer.config import TrainConfig
from trainer.result import finished
from wm.artifacts.model import ModelCard
from wm.errors import Exit
from wm.stage import StageSpec
from wm.store import Store

MAMBA2 = {"kind": "mamba2", "context": 4, "d_model": 16, "layers": 1, "headdim": 8, "dropout": 0.1}
GAMES = {"chess": (LSTM, publish_chess), "melee": (MAMBA2, publish_melee)}
EVERY = 4
"""Steps between checkpoints, and so the most that a kill may cost."""


@dataclass
class Rough:
    """The training in ``store``; its twin is in ``calm``."""

    store: Store
    calm: Store
    folder: Path
    """Of logs and scratch files."""
    config: dict[str, Any]
    environment: dict[str, str] | None = None
    number: int = 0
    """Attempts so far."""
    done: int = 0
    """The last update that the latest attempt told of."""
    saved: bool = False
    """Whether it was told to stop, and so has lost nothing."""
    again: int = 0
    """Updates that were made a second time."""

    @property
    def world(self) -> int:
        """Processes."""
        return int(self.config["processes"])

    def spec(self) -> StageSpec:
        """Of the next attempt, published."""
        self.number += 1
        return write_spec(self.store, self.config, self.number)

    def attempt(self, *prepare: Prepare) -> AbstractContextManager[Attempt]:
        """The next attempt."""
        spec, folder = self.spec(), self.folder / f"attempt-{self.number}"
        return attempt(self.store.url, spec, folder, self.world, prepare, self.environment)

    def kill(self, begun: Attempt) -> None:
        """Kill all processes of an attempt at once."""
        begun.send(signal.SIGKILL)
        assert begun.wait() == [-signal.SIGKILL] * self.world, begun.log()
        self.check(begun.log())

    def kill_at(self, at: Hold) -> None:
        """Kill the next attempt where it stands still."""
        marker = self.folder / f"marker-{self.number + 1}"
        with self.attempt(hold(marker, at)) as begun:
            assert begun.reaches(marker.exists), begun.log()
            self.kill(begun)

    def check(self, log: str, warnings: int = 0) -> None:
        """The attempt went on from where the one before was, and had nothing to complain of."""
        assert log.count("WARNING") == warnings, log
        assert "Traceback" not in log, log
        if not warnings and " training a " in log:
            start = int(log.partition("going on from ")[2].partition("/step-")[2][:6] or 0)
            assert start >= self.done - (0 if self.saved else EVERY), (self.done, log)
            self.again += max(self.done - start, 0)
            self.done, self.saved = max(start, last_step(log)), False

    def finish(self, warnings: int = 0) -> None:
        """Let it end, and compare it with its twin."""
        with self.attempt() as begun:
            assert begun.wait() == [Exit.OK] * self.world, begun.log()
            self.check(begun.log(), warnings)
        self.compare()

    def compare(self) -> None:
        """The same bits, and no more files than there should be."""
        ours, twin = self.model(self.store), self.model(self.calm) or self._train_twin()
        assert ours is not None
        assert (ours.version, ours.metrics) == (twin.version, twin.metrics)
        assert self.store.get(ours.weights.key) == self.calm.get(twin.weights.key)
        whole = [files for files in checkpoints(self.store).values() if "manifest.json" in files]
        assert len(whole) == self.config["keep"]

    def model(self, store: Store) -> ModelCard | None:
        """What came of it, if it has come to its end."""
        spec = StageSpec(run="r", stage="train", attempt=1, kind="train", config=self.config)
        return finished(store, spec, TrainConfig.model_validate(self.config))

    def _train_twin(self) -> ModelCard:
        spec = write_spec(self.calm, self.config)
        with attempt(self.calm.url, spec, self.folder / "calm", self.world) as begun:
            assert begun.wait() == [Exit.OK] * self.world, begun.log()
        card = self.model(self.calm)
        assert card is not None
        return card


def rough(folder: Path, store: Store, calm: Store, game: str, **changes: Any) -> Rough:
    """A training that averages its weights, drops out and saves often."""
    model, publish = GAMES[game]
    data = publish(store)
    assert publish(calm) == data
    config = settings(data, model=model, ema=0.9, steps=24, checkpoint_every=EVERY, keep=2)
    config |= {"validate_every": 6, "log_every": 1, "processes": 1, **changes}
    return Rough(store, calm, folder, config)


def whole_steps(store: Store) -> list[int]:
    """Steps of the checkpoints that have a manifest."""
    found = checkpoints(store).items()
    return sorted(int(f.rpartition("-")[2]) for f, files in found if "manifest.json" in files)


@dataclass
class Tally:
    """What kills have hit, over many trainings."""

    draw: random.Random
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(what was hit, how) -> times, in trainings that have come to their end."""
    fresh: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The same of the training at work."""

    def note(self, t: Rough, log: str, how: str) -> None:
        """Count a kill of the latest attempt."""
        spec = StageSpec(run="r", stage="train", attempt=t.number, kind="train", config=t.config)
        self.fresh[what_was_hit(t.store, spec, log), how] += 1

    def compared(self, t: Rough, name: str) -> str:
        """The training is done, and its bits are right; what it went through."""
        self.hits += self.fresh
        line = f"{name}: {self.fresh.total()} kills, {t.number} attempts, {t.again} steps again"
        self.fresh.clear()
        return line

    def table(self) -> str:
        """What was hit, and how."""
        hows = sorted({how for _, how in self.hits})
        whats = [*sorted({what for what, _ in self.hits}), "all"]
        lines = [["hit", *hows, "all"], ["---"] * (len(hows) + 2)]
        for what in whats:
            counts = [
                sum(n for (w, h), n in self.hits.items() if h == how and what in (w, "all"))
                for how in hows
            ]
            lines.append([what, *map(str, [*counts, sum(counts)])])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
