"""The heartbeat of a stage, from a thread while it runs."""

from __future__ import annotations

import logging
import threading
import time

from wm.errors import WmError
from wm.stage.context import StageContext
from wm.store import Store

logger = logging.getLogger("wm.stage")

HEARTBEAT_EVERY = 2.0
"""Seconds between heartbeats."""


class Beating:
    """Between ``with`` and its end, publishes the context's heartbeat.

    ``store`` should have little patience: the next beat comes soon, and none is worth a queue.
    """

    def __init__(self, context: StageContext, store: Store) -> None:
        self._context, self._store = context, store
        self._done = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(timeout=10)

    def _beat(self) -> None:
        self._publish()
        while not self._done.wait(HEARTBEAT_EVERY):
            self._publish()
        self._publish()  # how far the stage came

    def _publish(self) -> None:
        beat = self._context.heartbeat.model_copy(update={"time": time.time()})
        try:
            data = beat.model_dump_json().encode()
            self._store.put(self._context.own_key("heartbeat.json"), data)
        except WmError as error:  # the stage's own writes will decide; the log says why, once
            if not self._failing:
                logger.info("no heartbeat can be written now: %s", error.message)
            self._failing = True
        else:
            self._failing = False
