"""What a member other than 0 does: parse its share and hand it over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from itertools import groupby

from encoder.chunks import CHUNK
from encoder.exchange import Exchange
from encoder.inputs import Inputs
from encoder.isolate import Isolated
from encoder.pace import LOG_EVERY, Progress
from encoder.tasks import Answers, Task, answers, tasks
from wm.errors import Preempted

logger = logging.getLogger("wm.encoder")


def parse_share(
    inputs: Inputs,
    pool: Isolated,
    exchange: Exchange,
    progress: Progress,
    stopping: threading.Event,
) -> None:
    """Publish every chunk of this member that is not there yet. Raises Preempted, Finished, and
    whatever walking through the source raises."""
    said, parsed = time.monotonic(), 0
    for chunk, group in groupby(_answered(inputs, pool, exchange, progress, stopping), _chunk):
        done = [answered for _, answered in group]
        exchange.publish(chunk, done)
        parsed += len(done)
        if time.monotonic() - said >= LOG_EVERY:
            said = time.monotonic()
            logger.info("%d inputs or pieces parsed", parsed)
    logger.info("all of this member's share is parsed: %d inputs or pieces", parsed)


def _answered(
    inputs: Inputs,
    pool: Isolated,
    exchange: Exchange,
    progress: Progress,
    stopping: threading.Event,
) -> Iterator[tuple[Task, Answers]]:
    for pair in pool.map(answers, _wanted(inputs, exchange, progress)):
        if stopping.is_set():
            raise Preempted("stopped; what is parsed is kept", hint="submit again to go on")
        yield pair


def _wanted(inputs: Inputs, exchange: Exchange, progress: Progress) -> Iterator[Task]:
    for task in tasks(inputs, exchange.wanted):
        progress(task.number + 1, 0, "inputs or pieces")
        if exchange.wanted(task.number):
            yield task


def _chunk(pair: tuple[Task, Answers]) -> int:
    return pair[0].number // CHUNK
