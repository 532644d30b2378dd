"""How far a transfer is: a bar in a terminal, a line now and then everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Protocol

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from wmctl.show import phrases

PLAIN_EVERY = 10.0
"""Seconds between lines."""


class Progress(Protocol):
    """Hears how far a transfer is; from any thread."""

    def begin(self, what: str, total: int) -> None:
        """``total`` bytes are to be done; ``what`` is a word such as ``sending``."""

    def advance(self, count: int, moved: bool) -> None:
        """``count`` more are done; they were ``moved``, or were there already."""


class Quiet:
    """:class:`Progress` that nobody watches."""

    def begin(self, what: str, total: int) -> None:
        pass

    def advance(self, count: int, moved: bool) -> None:
        pass


class BarProgress:
    """:class:`Progress` as a bar with rate and time left. A context."""

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(highlight=False),
        )
        self._task: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(what, total=total) if total else None

    def advance(self, count: int, moved: bool) -> None:
        if self._task is not None:
            self._bars.advance(self._task, count)

    def __enter__(self) -> BarProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()


class LineProgress:
    """:class:`Progress` as lines: ``12:00:10 sending 3.1 GB of 34 GB, 85 MB/s, 6m 03s left``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def begin(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._moved = what, total, 0, 0
        self._began = self._shown = time.monotonic()

    def advance(self, count: int, moved: bool) -> None:
        with self._lock:
            self._done += count
            self._moved += count if moved else 0
            if time.monotonic() - self._shown < PLAIN_EVERY:
                return
            self._shown = time.monotonic()
            click.echo(f"{phrases.clock(time.time())} {self._line()}")

    def __enter__(self) -> LineProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _line(self) -> str:
        rate = (self._moved or self._done) / (time.monotonic() - self._began)
        left = phrases.duration((self._total - self._done) / rate) if rate else "unknown time"
        return (
            f"{self._what} {phrases.size(self._done)} of {phrases.size(self._total)}, "
            f"{phrases.size(rate)}/s, {left} left"
        )


def show_progress() -> BarProgress | LineProgress:
    """The one that fits where standard output goes."""
    return BarProgress() if sys.stdout.isatty() else LineProgress()
