"""The wish to stop, from signals to an event that every thread of a stage can wait for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

from wm.early import STOP_SIGNALS


def stop_on_signal(stopping: threading.Event) -> None:
    """From now on, SIGTERM and SIGINT set ``stopping``.

    By way of a pipe and a thread, as a handler that sets the event itself would wait for ever if
    it interrupted the main thread inside ``stopping.wait``, which holds the same lock.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def ask(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(writer, b"!")

    def wait() -> None:
        os.read(reader, 1)
        stopping.set()

    threading.Thread(target=wait, daemon=True).start()
    for number in STOP_SIGNALS:
        signal.signal(number, ask)
