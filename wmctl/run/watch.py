"""How running attempts get on: what of it is news for the history, and which give no sign of life.

Decisions are made on the history alone. So whatever they depend on is written there, but only when
it is news: a training that goes on as it did can be extrapolated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wm.store import Store
from wmctl.launch.base import Observation, StageJob
from wmctl.run.clock import Clock
from wmctl.run.heartbeat import read_heartbeat
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

LOOK_EVERY = 10.0
"""Seconds between looks at the heartbeats."""
WINDOW = 300.0
"""Seconds over which a pace is measured: long enough to hold validations and checkpoints."""
FIRST_PACE = 15.0
"""Seconds after which a first pace is told."""
NEWS = 0.1
"""Relative difference from what was told before that is news."""


@dataclass(slots=True)
class _Pulse:
    """What is known of one attempt."""

    beat: float = 0
    """Time of the newest heartbeat, by the stage's clock."""
    silent: float = 0
    """Seconds that the heartbeat was looked at and had not changed."""
    samples: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, work done) within the window."""


class Watch:
    """Looks at heartbeats now and then."""

    def __init__(self, spec: RunSpec, store: Store, clock: Clock) -> None:
        self._spec, self._store, self._clock = spec, store, clock
        self._pulses: dict[str, _Pulse] = {}
        self._looked = clock.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return self._clock.monotonic() - self._looked >= LOOK_EVERY

    def look(
        self, state: RunState, jobs: Sequence[StageJob], seen: Sequence[Observation]
    ) -> tuple[dict[str, Any], list[StageJob]]:
        """News of running attempts by node, as an ``observed`` event holds it; and the attempts
        that have hung."""
        now = self._clock.monotonic()
        passed, self._looked = min(now - self._looked, 2 * LOOK_EVERY), now
        phases = {one.job.name: one for one in seen}
        news: dict[str, Any] = {}
        hung = []
        for job in jobs:
            one = phases.get(job.name)
            if one is None or one.phase != "running":
                continue
            pulse = self._pulses.setdefault(job.name, _Pulse())
            if facts := self._feel(state, job, one, pulse, passed):
                news[job.stage] = facts
            own = state.nodes[job.stage]
            if pulse.silent > self._spec.plan.hang_s and not own.hung:
                hung.append(job)
        return news, hung

    def _feel(
        self, state: RunState, job: StageJob, seen: Observation, pulse: _Pulse, passed: float
    ) -> dict[str, Any] | None:
        own, now = state.nodes[job.stage], self._clock.time()
        since = min((p.started for p in seen.pods if p.started), default=own.since or now)
        beat = read_heartbeat(self._store, job.run, job.stage, job.attempt)
        done, total, pace = own.done, own.total, own.per_s
        if beat is None or beat.time == pulse.beat:
            pulse.silent += passed
        else:
            pulse.beat, pulse.silent = beat.time, 0
            if beat.done:  # a training that goes on says 0 until its first step
                _add(pulse, beat.time, beat.done)
                done, total = beat.done, beat.total
                pace = _pace(pulse) or pace
        fresh = not own.since or (pace and not own.per_s)
        expected = state.done_of(job.stage, now)
        moved = own.per_s and abs(done - expected) > NEWS * max(expected, 1) + own.per_s * passed
        if fresh or moved or abs(pace - own.per_s) > NEWS * own.per_s:
            return {
                "attempt": job.attempt, "since": since, "done": done, "total": total,
                "per_s": round(pace, 6),
            }  # fmt: skip
        return None


def _add(pulse: _Pulse, at: float, done: float) -> None:
    pulse.samples.append((at, done))
    while len(pulse.samples) > 2 and pulse.samples[1][0] < at - WINDOW:
        pulse.samples.popleft()


def _pace(pulse: _Pulse) -> float:
    """Units a second over the window; 0 while it is too short to tell."""
    (began, first), (at, last) = pulse.samples[0], pulse.samples[-1]
    return (last - first) / (at - began) if at - began >= FIRST_PACE and last > first else 0.0
