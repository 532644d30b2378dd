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
from wm.stage.chunks import CHUNK, chunk_key, log_end
from wm.store import Store

SHIP_EVERY = 2.0
"""Seconds between copies of new lines to the store."""

LINGER = 5.0
"""Seconds that the last lines are tried for at the end."""


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
    """Between ``with`` and its end, copies what is written to stdout and stderr to the store.

    It lands in the chunks ``<prefix>/log/…`` behind those that are there. One thread passes output
    on and spools it, another ships it, so that a store that is away neither blocks nor stops the
    stage; once it is back, everything follows. ``store`` should have little patience of its own.
    """

    def __init__(self, store: Store, prefix: str, spool: Path) -> None:
        """``spool``: an empty folder's path; it holds what is not shipped yet."""
        self._store, self._prefix, self._spool = store, prefix, spool
        self._closing = threading.Event()
        self._base: int | None = None  # where our log begins in the store's
        self._shipped = ("", 0)  # the newest file that was shipped, and its size then

    def __enter__(self) -> LogShipper:
        self._spool.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        sys.stderr.flush()
        self._stdout, self._stderr = os.dup(1), os.dup(2)
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.close(writer)
        self._pumping = threading.Thread(target=self._pump, args=(reader,), daemon=True)
        self._shipping = threading.Thread(target=self._ship_on, daemon=True)
        self._pumping.start()
        self._shipping.start()
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
        self._pumping.join(timeout=5)
        self._closing.set()
        self._shipping.join(timeout=2 * LINGER)

    def _pump(self, reader: int) -> None:
        """Pass output on, and spool it to files named by the offset of their first byte."""
        offset = size = 0
        spool = -1
        with os.fdopen(reader, "rb", buffering=0) as lines:
            while chunk := lines.read(65536):
                with contextlib.suppress(OSError):  # nobody reads our stdout any more
                    os.write(self._stdout, chunk)
                with contextlib.suppress(OSError):  # a full disk must not stop the stage
                    if spool < 0:
                        name = self._spool / f"{offset:012d}"
                        spool = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
                    size += os.write(spool, chunk)
                if size >= CHUNK:
                    os.close(spool)
                    offset, size, spool = offset + size, 0, -1
        if spool >= 0:
            os.close(spool)

    def _ship_on(self) -> None:
        closing, deadline = False, 0.0
        while not closing or time.monotonic() < deadline:
            if not closing and (closing := self._closing.wait(SHIP_EVERY)):
                deadline = time.monotonic() + LINGER
            try:
                self._ship()
            except (WmError, OSError):
                time.sleep(0.5)
            else:
                if closing:
                    return

    def _ship(self) -> None:
        """Bring the store up to date; only the newest file may still grow."""
        if self._base is None:
            self._base = log_end(self._store, self._prefix)
        files = sorted(self._spool.iterdir())
        for file in files:
            data = file.read_bytes()
            if data and self._shipped != (file.name, len(data)):
                self._store.put(chunk_key(self._prefix, self._base + int(file.name)), data)
                self._shipped = (file.name, len(data))
            if file is not files[-1]:
                file.unlink()
