"""The encode stage: raw games in, a data set out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from encoder.config import EncodeConfig
from encoder.fingerprint import check_unchanged, fingerprint, look
from encoder.inputs import Inputs
from encoder.isolate import Isolated
from encoder.pack import Packer
from encoder.read import KINDS, GameReader
from encoder.sources import open_source
from encoder.tasks import answers, tasks
from encoder.worker import Reader
from wm.artifacts.dataset import Manifest, dataset_key, load_manifest, verify_dataset
from wm.errors import Preempted
from wm.store import Store

logger = logging.getLogger("wm.encoder")

LOG_EVERY = 5.0
"""Seconds between lines of the log."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total or 0 where unknown, unit)."""


def encode(
    config: EncodeConfig,
    store: Store,
    scratch: Path,
    *,
    progress: Progress = lambda done, total, unit: None,
    stopping: threading.Event | None = None,
    reader: Reader | None = None,
) -> dict[str, Any]:
    """Make the data set that ``config`` describes, or find it there; returns the stage's result.

    ``reader`` replaces the one of the game, to try out what a reader may do. Raises BadConfig,
    InputMissing, BadData (no game accepted, a source cut off) or Preempted.
    """
    stopping = stopping or threading.Event()
    source = open_source(config.source, config.game, scratch)
    known, content = source.known(), None
    if known is None:
        content = look(source, store, config.name, progress, stopping)
        known = content.inputs.sha256
    name = fingerprint(known, config)
    key = dataset_key(config.name, name)
    if store.head(f"{key}/manifest.json") is not None:
        logger.info("hit: %s holds these inputs encoded this way", key)
        return _result(_checked(store, key), hit=True)

    content = content or look(source, store, config.name, progress, stopping)
    total = content.inputs.bytes
    logger.info("encode %s: %d files, %.1f MB", config.source, content.inputs.count, total / 1e6)
    packer = Packer(config, store, key, scratch)
    pace = _Pace(packer, total, progress)
    worker = reader or GameReader(config.melee, config.chess)
    with (
        Inputs(source, KINDS[config.game], scratch) as inputs,
        Isolated(worker, config.cpus, config.timeout_s, scratch) as pool,
    ):
        work = islice(tasks(inputs), packer.done, None)
        for number, (task, answered) in enumerate(pool.map(answers, work), packer.done):
            if stopping.is_set():
                raise Preempted(
                    "stopped; all games up to the last full shard are kept",
                    hint="submit again to go on",
                )
            packer.add(number, task, answered)
            pace.step(task.read)
    check_unchanged(source, content)
    manifest = packer.finish(name, content.inputs)
    pace.end(manifest)
    return _result(manifest, hit=False)


def _checked(store: Store, key: str) -> Manifest:
    """A hit means verified bytes; those of a remote store are verified by whoever downloads."""
    manifest = load_manifest(store, key)
    return verify_dataset(store, key) if store.url.startswith("/") else manifest


def _result(manifest: Manifest, *, hit: bool) -> dict[str, Any]:
    return {
        "dataset": manifest.key,
        "hit": hit,
        "fingerprint": manifest.fingerprint,
        "games": {name: split.games for name, split in manifest.splits.items()},
        "rows": {name: split.rows for name, split in manifest.splits.items()},
        "rejects": manifest.rejects,
        "bytes": manifest.bytes,
    }


class _Pace:
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
