"""A stage's log: one event a line on stdout, and the same lines in the store.

Output is caught below Python, at the file descriptors, so that what a native library or a child
process prints is kept too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from wm.errors import WmError
from wm.store import Store

SHIP_EVERY = 2.0
"""Seconds between copies of the log to the store while lines come in."""


def log_to_stdout() -> None:
    """Send the project's log records to stdout, one event a line, with UTC times."""
    handler = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("wm")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class LogShipper:
    """Between ``with`` and its end, copies everything written to stdout and stderr to ``key``.

    A store that cannot be written does not stop the stage: the stage's own writes will say so.
    """

    def __init__(self, store: Store, key: str, spool: Path) -> None:
        self._store, self._key, self._spool = store, key, spool

    def __enter__(self) -> LogShipper:
        sys.stdout.flush()
        sys.stderr.flush()
        self._stdout, self._stderr = os.dup(1), os.dup(2)
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.close(writer)
        self._thread = threading.Thread(target=self._pump, args=(reader,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(self._stdout, 1)
        os.dup2(self._stderr, 2)
        # A child that outlives the stage may hold the pipe open; its lines are not waited for.
        self._thread.join(timeout=5)

    def _pump(self, reader: int) -> None:
        shipped_at = 0.0
        with self._spool.open("wb") as spool, os.fdopen(reader, "rb", buffering=0) as lines:
            while chunk := lines.read(65536):
                with contextlib.suppress(OSError):  # nobody reads our stdout any more
                    os.write(self._stdout, chunk)
                try:
                    spool.write(chunk)
                    spool.flush()
                except OSError:  # a full disk must not stop the stage
                    continue
                if time.monotonic() - shipped_at > SHIP_EVERY:
                    self._ship()
                    shipped_at = time.monotonic()
        self._ship()

    def _ship(self) -> None:
        with contextlib.suppress(WmError, OSError):
            self._store.upload(self._spool, self._key)
