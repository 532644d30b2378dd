"""Local stages die with the process that started them.

After ``kill -9`` of a local conductor nobody watches its stages, and the next ``wmctl submit`` must
be able to start them anew without two attempts at work at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "WM_PARENT_PID"
"""Environment variable by which a local launcher asks for this."""


def die_with_parent() -> None:
    """End this process when its parent ends, if the parent asked for that."""
    if PARENT not in os.environ:
        return
    parent = int(os.environ.pop(PARENT))
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(128 + signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(128 + signal.SIGKILL)
