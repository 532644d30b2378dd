"""A clock that jumps from one thing that happens to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable

STEP = 60.0
"""Seconds that it jumps at most: a conductor that sleeps longer would notice too late."""


class ConductorDied(BaseException):
    """Raised out of a conductor's sleep: it is killed."""


class VirtualClock:
    """:class:`wmctl.run.clock.Clock` of a simulated night."""

    def __init__(self, start: float) -> None:
        self._now = start
        self.alarms: list[float] = []
        """Moments at which a conductor that looks every moment would be awake."""
        self.deaths: list[float] = []
        """Moments at which the conductor is killed."""
        self.next_change: Callable[[float], float] = lambda now: now + STEP
        """When something happens next."""
        self.moved: Callable[[float], None] = lambda now: None
        """Told the new time."""

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def wait(self, interrupted: threading.Event, seconds: float) -> None:
        """Jump to what happens next, but no further than :data:`STEP`."""
        now = self._now
        target = max(now + seconds, min(now + STEP, self.next_change(now)))
        target = min([alarm for alarm in self.alarms if now < alarm < target], default=target)
        self.set(target)
        if self.deaths and self.deaths[0] <= target:
            self.deaths.pop(0)
            raise ConductorDied

    def set(self, target: float) -> None:
        """Let the time be ``target``."""
        self._now = target
        self.moved(target)
