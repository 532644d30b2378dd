"""The encode stage: raw games in, a data set out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from encoder.config import EncodeConfig
from encoder.exchange import Exchange, Finished
from encoder.fingerprint import check_unchanged, fingerprint, look
from encoder.inputs import Inputs
from encoder.isolate import Isolated
from encoder.members import ALONE, PATIENCE, Members
from encoder.pace import Pace, Progress
from encoder.pack import Packer
from encoder.read import KINDS, GameReader
from encoder.share import parse_share
from encoder.sources import open_source
from encoder.tasks import Answers, Task, answers, tasks
from encoder.worker import Reader
from wm.artifacts.dataset import Manifest, dataset_key, load_manifest, verify_dataset
from wm.errors import Preempted
from wm.store import Store

logger = logging.getLogger("wm.encoder")


def encode(
    config: EncodeConfig,
    store: Store,
    scratch: Path,
    *,
    progress: Progress = lambda done, total, unit: None,
    stopping: threading.Event | None = None,
    reader: Reader | None = None,
    members: Members = ALONE,
    patience: float = PATIENCE,
) -> dict[str, Any]:
    """Make the data set that ``config`` describes, or find it there; returns the stage's result,
    which is empty but for member 0.

    ``members`` share the parsing; member 0 alone packs, so the data set does not depend on how many
    there are. Each of them walks through all of the source: files of one game are read by the
    member that parses them only, archives and files of many games by all. ``patience`` is how long
    they wait for each other, seconds. ``reader`` replaces the one of the game, to try out what a
    reader may do. Raises BadConfig, InputMissing, BadData (no game accepted, a source cut off),
    Preempted, OutOfMemory, Hang or MemberFailed.
    """
    stopping = stopping or threading.Event()
    source = open_source(config.source, config.game, scratch, store)
    known, content = source.known(), None
    if known is None:
        content = look(source, store, config.name, progress, stopping)
        known = content.inputs.sha256
    name = fingerprint(known, config)
    key = dataset_key(config.name, name)
    if store.head(f"{key}/manifest.json") is not None:
        logger.info("hit: %s holds these inputs encoded this way", key)
        return _found(store, key, members)

    content = content or look(source, store, config.name, progress, stopping)
    logger.info("encode %s: %d files, %.1f MB", config.source, content.inputs.count,
                content.inputs.bytes / 1e6)  # fmt: skip
    exchange = Exchange(store, key, members, stopping, patience)
    worker = reader or GameReader(config.melee, config.chess)
    try:
        with (
            Inputs(source, KINDS[config.game], scratch) as inputs,
            Isolated(worker, config.cpus, config.timeout_s, scratch) as pool,
        ):
            if members.member:
                parse_share(inputs, pool, exchange, progress, stopping)
                return {}
            packer = Packer(config, store, key, scratch)
            pace = Pace(packer, content.inputs.bytes, progress)
            for task, answered in _answered(inputs, pool, exchange, packer.done):
                if stopping.is_set():
                    raise Preempted(
                        "stopped; all games up to the last full shard are kept",
                        hint="submit again to go on",
                    )
                packer.add(task, answered)
                exchange.report(task.number + 1, packer.done)
                pace.step(task.read)
    except Finished:
        logger.info("another run finished the same data set first")
        return _found(store, key, members)
    check_unchanged(source, content)
    manifest = packer.finish(name, content.inputs)
    pace.end(manifest)
    return _result(manifest, hit=False)


def _answered(
    inputs: Inputs, pool: Isolated, exchange: Exchange, done: int
) -> Iterator[tuple[Task, Answers]]:
    """All tasks behind the first ``done``, with what readers here or elsewhere made of them."""
    exchange.begin(done)
    walk = tasks(inputs, lambda number: number >= done and exchange.mine(number))
    return pool.map(answers, islice(walk, done, None), exchange.elsewhere)


def _found(store: Store, key: str, members: Members) -> dict[str, Any]:
    return {} if members.member else _result(_checked(store, key), hit=True)


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
