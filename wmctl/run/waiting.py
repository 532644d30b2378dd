"""What attempts wait for on the platform, said once when it takes long."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from wmctl.launch.base import Observation
from wmctl.run.clock import Clock

LONG_WAIT = 10.0
"""Seconds of waiting for one thing after which it is worth a line."""

logger = logging.getLogger("wm.conductor")


class Waiting:
    """Remembers since when each attempt waits for what."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str, str], float] = {}
        """Attempt, step and reason -> since when; infinite once it was said."""

    def tell(self, seen: Sequence[Observation]) -> None:
        """Log what is waited for, and what to do about it, when it has taken long."""
        waits = {
            (one.job.name, step.name, step.text): step
            for one in seen
            for step in one.steps[-1:]
            if step.state != "done" and step.text
        }
        now = self._clock.monotonic()
        self._since = {wait: self._since.get(wait, now) for wait in waits}
        for wait, since in self._since.items():
            if now - since > LONG_WAIT:
                self._since[wait] = math.inf
                (job, name, text), advice = wait, waits[wait].advice
                logger.info("%s is not %s yet: %s%s", job, name, text, advice and f" — {advice}")
