"""The clock that a conductor lives by, so that nights can be simulated."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never set back."""
        ...

    def wait(self, interrupted: threading.Event, seconds: float) -> None:
        """Until the time is over or ``interrupted`` is set."""
        ...


class SystemClock:
    """The machine's."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, interrupted: threading.Event, seconds: float) -> None:
        interrupted.wait(seconds)
