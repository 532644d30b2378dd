"""Signals in the first second of a process, while it still imports what it needs.

This module imports nothing of the project, so that a stage's ``__main__`` can call it first thing.
"""

from __future__ import annotations

import os
import signal

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_on_signal() -> None:
    """Until a stage handles them itself, SIGTERM and SIGINT end the process with 143 at once.

    PID 1 of a container would ignore SIGTERM otherwise, and SIGINT would print a traceback. There
    is no state to save yet.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os._exit(128 + signal.SIGTERM))
