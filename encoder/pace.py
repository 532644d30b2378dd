"""How far an encode stage is, for people."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from encoder.pack import Packer
from wm.artifacts.dataset import Manifest

logger = logging.getLogger("wm.encoder")

LOG_EVERY = 5.0
"""Seconds between lines of the log."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total or 0 where unknown, unit)."""


class Pace:
    """Says how far the stage is."""

    def __init__(self, packer: Packer, total: int, progress: Progress) -> None:
        self._packer = packer
        self._total = total
        self._progress = progress
        self._start = time.monotonic()
        self._games = packer.sums.games
        self._said = self._start

    def step(self, read: int) -> None:
        """``read`` bytes of the source are done, so the games behind them can be estimated."""
        games = self._packer.sums.games
        estimate = round(games * self._total / read) if read else 0
        self._progress(games, max(games, estimate) if estimate else 0, "games")
        if time.monotonic() - self._said >= LOG_EVERY:
            self._said = time.monotonic()
            sums = self._packer.sums
            share = f" of about {estimate}" if estimate else ""
            logger.info("%d%s games, %d accepted, %.0f games/s", games, share, sums.accepted,
                        self._rate())  # fmt: skip

    def end(self, manifest: Manifest) -> None:
        """The last line."""
        sums = self._packer.sums
        rows = sum(split.rows for split in manifest.splits.values())
        self._progress(sums.games, sums.games, "games")
        logger.info(
            "%s: %d games, %d rows, %.1f MB, %.0f games/s; rejected: %s",
            manifest.key, sums.accepted, rows, manifest.bytes / 1e6, self._rate(),
            sums.commonest(count=20) or "none",
        )  # fmt: skip

    def _rate(self) -> float:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return (self._packer.sums.games - self._games) / seconds
