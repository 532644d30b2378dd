"""How long ago the attempt began: its first process tells the training processes.

Only a difference of two readings of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import os
import time

STARTED = "WM_TRAIN_STARTED"
"""Environment variable: the monotonic clock when the attempt's first process began."""

_IMPORTED = time.monotonic()


def note_start() -> None:
    """Keep the present moment as the attempt's start, for this process and its children."""
    os.environ[STARTED] = repr(time.monotonic())


def since_start() -> float:
    """Seconds since then; where no parent noted it, since this process began to work."""
    return time.monotonic() - float(os.environ.get(STARTED, _IMPORTED))
