"""A writer on a thread of its own, so that whatever happens to it, the training does not notice."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wm.store import Store

logger = logging.getLogger("wm.trainer")

BACKLOG = 1000
"""Lines that may wait for a writer; with more it is taken for stuck."""
SECRETS = ("WANDB_API_KEY",)
"""Environment variables whose values no warning may hold."""


@dataclass(frozen=True, slots=True)
class Point:
    """The figures of one line of ``metrics.jsonl``."""

    step: int
    """Updates."""
    time: float
    """Seconds since the epoch."""
    figures: dict[str, float]
    """By name: train/loss, validate/top1."""


class Writer(Protocol):
    """What takes figures. It may fail in any way, and take any time."""

    def write(self, point: Point) -> None:
        """Take the figures of one step; several points may have the same step."""
        ...

    def flush(self) -> None:
        """Bring what was written to the files."""
        ...

    def close(self, failed: bool) -> None:
        """The end; ``failed``: the training ended by an error or was stopped."""
        ...


class Aside:
    """Runs one :class:`Writer`, and switches it off with one warning when it fails.

    ``make`` gets the folder that the writer may use. Its files that match ``pattern`` are copied to
    the store under ``key`` at every :meth:`publish` and at the end. No method blocks, but
    :meth:`wait` for as long as it is told.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Path], Writer],
        *,
        folder: Path,
        pattern: str,
        store: Store,
        key: str,
    ) -> None:
        self._name, self._make = name, make
        self._folder, self._pattern = folder, pattern
        self._store, self._key = store, key
        self._queue: queue.Queue[Point | Callable[[Writer], bool]] = queue.Queue(BACKLOG)
        self._on, self._switch = True, threading.Lock()
        self._publishing = False  # a wish to publish is in the queue
        self._sizes: dict[str, int] = {}  # of the files in the store, by key
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin; a package that is missing is noticed now."""
        self._thread.start()

    def write(self, point: Point) -> None:
        """Have the figures written."""
        self._put(point)

    def publish(self) -> None:
        """Have the files copied to the store; wishes that wait are one."""
        if not self._publishing:
            self._publishing = True
            self._put(self._publish)

    def finish(self, failed: bool) -> None:
        """Have the writer closed, after all that waits."""

        def close(writer: Writer) -> bool:
            writer.close(failed)
            self._upload()
            return True

        self._put(close)

    def wait(self, until: float) -> None:
        """Until the writer is closed, or the monotonic clock reads ``until``."""
        if self._on:
            self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._off("it was not done with the last figures in time")

    def _put(self, item: Point | Callable[[Writer], bool]) -> None:
        if not self._on:
            return
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._off(f"it is stuck, with {BACKLOG} lines waiting")

    def _work(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            writer, closed = self._make(self._folder), False
            while self._on and not closed:
                item = self._queue.get()
                if isinstance(item, Point):
                    writer.write(item)
                else:
                    closed = item(writer)
        except ImportError as error:
            self._off(str(error), f"install it with: pip install {self._name}")
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is, training goes on
            self._off(f"{type(error).__name__}: {error}")

    def _publish(self, writer: Writer) -> bool:
        self._publishing = False
        writer.flush()
        self._upload()
        return False

    def _upload(self) -> None:
        for path in sorted(self._folder.rglob(self._pattern)):
            key = f"{self._key}/{path.relative_to(self._folder).as_posix()}"
            data = path.read_bytes()  # it may grow meanwhile
            if self._sizes.get(key) != len(data):
                self._store.put(key, data)
                self._sizes[key] = len(data)

    def _off(self, why: str, way_out: str = "") -> None:
        with self._switch:
            was_on, self._on = self._on, False
        if was_on:
            logger.warning(
                "writer %s is switched off (%s); the training and metrics.jsonl go on; %s",
                *(self._name, _one_line(why), way_out or f"without {self._name} in writers it is "
                "not tried"),
            )  # fmt: skip


def _one_line(text: str) -> str:
    for secret in filter(None, map(os.environ.get, SECRETS)):
        text = text.replace(secret, "…")
    return " ".join(text.split())[:300]
