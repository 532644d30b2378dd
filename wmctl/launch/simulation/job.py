"""The life of one simulated attempt."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wmctl.launch.base import StageJob
from wmctl.plan.node import Node


@dataclass(slots=True)
class SimulatedJob:
    """From its start to its end; times in seconds since the epoch."""

    job: StageJob
    node: Node
    runs_at: float
    """When its container starts."""
    works_at: float
    """When its first unit of work begins."""
    units: float
    """Of work that it has to do."""
    unit_s: float
    tail_s: float
    restored: float = 0.0
    """Steps of the checkpoint that it goes on from."""
    total: float = 0.0
    """Steps that it is to reach."""
    speeds: tuple[tuple[float, float], ...] = ()
    """(from when, share of its speed), ascending."""
    freezes: float = math.inf
    """Units after which it hangs."""
    crashes: float = math.inf
    """Units after which it crashes."""
    crash_code: int = 0
    stopped: tuple[float, int] | None = None
    """When it will have ended after it was asked to, and its code."""
    stopped_at: float = math.inf
    """When it was asked to, and stopped working."""
    ended: float = 0.0
    code: int | None = None
    reason: str = ""
    beat: float = 0.0
    """Time of its newest heartbeat."""

    def done(self, now: float) -> float:
        """Units of its own work done by then."""
        at = min(now, self.stopped_at)
        most = min(self.units, self.freezes, self.crashes)
        return min(most, self._worked(at) / self.unit_s if self.unit_s else most)

    def is_frozen(self, now: float) -> bool:
        """Whether it has hung."""
        return self.done(now) >= self.freezes

    def ends(self) -> tuple[float, int]:
        """When and with which code it ends, as things are."""
        own, code = math.inf, 0
        if self.crashes < self.freezes and self.crashes <= self.units:
            own, code = self._reaches(self.crashes), self.crash_code
        elif self.freezes > self.units:
            own = self._reaches(self.units) + self.tail_s
        if self.stopped is not None and self.stopped[0] < own:
            return self.stopped
        return own, code

    def _worked(self, at: float) -> float:
        """Seconds of full speed from the first unit to ``at``."""
        worked = 0.0
        for i, (begins, speed) in enumerate(self.speeds):
            stops = self.speeds[i + 1][0] if i + 1 < len(self.speeds) else math.inf
            worked += speed * max(0.0, min(at, stops) - max(self.works_at, begins))
        return worked

    def _reaches(self, units: float) -> float:
        """When that much is done."""
        need = units * self.unit_s
        at = self.works_at
        for i, (begins, speed) in enumerate(self.speeds):
            stops = self.speeds[i + 1][0] if i + 1 < len(self.speeds) else math.inf
            start = max(at, begins)
            if stops <= start:
                continue
            if need <= speed * (stops - start):
                return start + need / speed
            need -= speed * (stops - start)
            at = stops
        return math.inf
