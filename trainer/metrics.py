"""``metrics.jsonl``: how the training goes, one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from trainer.started import since_start
from trainer.updates import Update
from trainer.usage import Usage
from trainer.writers import Writers
from wm.errors import StoreUnreachable, WmError
from wm.store import Store

PUBLISH_EVERY = 3.0
"""Seconds between copies to the store."""


class MetricsLog:
    """Collects lines and publishes the whole file every few seconds, and at the end."""

    def __init__(self, store: Store, key: str, enabled: bool = True) -> None:
        self._store, self._key, self._enabled = store, key, enabled
        self._lines: list[str] = []
        self._published = 0.0
        self._usage: Usage | None = None
        self._writers = Writers()

    @contextlib.contextmanager
    def alongside(self, usage: Usage, writers: Writers) -> Iterator[None]:
        """Between ``with`` and its end: lines of trainings tell of device use, and all lines go to
        the writers too. At the end by an error what is not published yet is, if the store is there.
        """
        if not self._enabled:
            yield
            return
        self._usage, self._writers, failed = usage, writers, True
        usage.start()
        writers.start()
        try:
            yield
            failed = False
        except StoreUnreachable:
            raise
        except Exception:
            with contextlib.suppress(WmError):
                self.publish()
            raise
        finally:
            usage.stop()
            writers.close(failed)

    def peaks(self) -> dict[str, float]:
        """The most memory that this process has used so far, in GB, by what it is of; empty where
        nobody looks."""
        return self._usage.peaks() if self._usage else {}

    def write(self, event: str, step: int, **facts: Any) -> None:
        """Add ``{"time", "step", "event", ...}``; event: start, resume, train, validate, ..."""
        if not self._enabled:
            return
        if event == "train" and self._usage:
            facts |= self._usage.newest()
        line = {"time": round(time.time(), 3), "step": step, "event": event, **facts}
        self._lines.append(json.dumps(line) + "\n")
        self._writers.write(line)
        if time.monotonic() - self._published > PUBLISH_EVERY:
            self.publish()

    def publish(self) -> None:
        """Copy every line so far to the store."""
        if self._enabled:
            self._store.put(self._key, "".join(self._lines).encode())
            self._writers.publish()
            self._published = time.monotonic()


class Meter:
    """Sums over a span of steps, and what the whole attempt spent its time on."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._targets = self._all_targets = self._updates = self._all_updates = 0
        self._loss = self._waited = self._all_seconds = self._startup = 0.0
        self._pace: dict[str, float] = {}
        self._spent: dict[str, list[float]] = defaultdict(list)

    def begin(self) -> None:
        """The first update comes next."""
        self._startup = since_start()
        self.skip()

    def waited(self, seconds: float) -> None:
        """Add time that the device waited for its input."""
        self._waited += seconds

    def count(self, update: Update) -> None:
        """Add one update."""
        self._updates += 1
        self._targets += update.targets
        self._loss += update.loss * update.targets

    def spent(self, what: str, begun: float) -> float:
        """Note one ``validate`` or ``save`` that began at ``begun`` and is over; its seconds."""
        seconds = time.perf_counter() - begun
        self._spent[what].append(seconds)
        return round(seconds, 3)

    def facts(self, loss: float) -> dict[str, float]:
        """For the heartbeat: the loss, and the last span's pace once there is one."""
        return {"loss": round(loss, 4), **self._pace}

    def timing(self) -> dict[str, float]:
        """Means in seconds: of an update, a validation, a checkpoint; and the time before all."""
        means = {
            "startup_s": self._startup,
            "step_s": self._all_seconds / max(self._all_updates, 1),
            "validate_s": _mean(self._spent["validate"]),
            "save_s": _mean(self._spent["save"]),
        }
        return {name: round(seconds, 6) for name, seconds in means.items()}

    @property
    def targets_per_s(self) -> float:
        """Supervised targets per second of training, over all processes and spans."""
        return self._all_targets / self._all_seconds if self._all_seconds else 0.0

    def span(self) -> dict[str, float]:
        """Loss, pace and share of time spent waiting since the last call, which ends the span."""
        seconds = time.perf_counter() - self._since
        self._all_seconds += seconds
        self._all_targets += self._targets
        self._all_updates += self._updates
        span = {
            "loss": self._loss / max(self._targets, 1),
            "targets_per_s": round(self._targets / seconds, 1),
            "input_wait": round(self._waited / seconds, 4),
        }
        self._pace = {"targets_per_s": span["targets_per_s"]}
        self.skip()
        return span

    def skip(self) -> None:
        """Start a new span now; what came before it is not training time."""
        self._since = time.perf_counter()
        self._targets = self._updates = 0
        self._loss = self._waited = 0.0


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / max(len(numbers), 1)
