"""A launcher whose cluster is simulated: attempts take the time that they take, and faults come."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wm.errors import Exit
from wm.stage.spec import Heartbeat, Outcome, StageSpec, attempt_prefix
from wm.store import Store
from wmctl.launch.base import Observation, PlatformAway, Pod, StageJob
from wmctl.launch.simulation.clock import VirtualClock
from wmctl.launch.simulation.faults import Away, Crash, Hang, PriceChange, Reclaim, Slow, Weather
from wmctl.launch.simulation.job import SimulatedJob
from wmctl.launch.simulation.products import product
from wmctl.run.spec import RunSpec
from wmctl.run.terms import Terms

GRACE = 60.0
"""Seconds from SIGTERM to SIGKILL."""
DELETED = 1.0
"""Seconds that it takes to delete a pod whose container never ran."""
BEAT = 20.0
"""Seconds between heartbeats; real ones come oftener, which changes nothing."""


class SimulatedCluster:
    """:class:`wmctl.launch.base.Launcher` of a simulated night. It keeps its own books."""

    detached = True

    def __init__(
        self, spec: RunSpec, store: Store, clock: VirtualClock, terms: Terms, weather: Weather
    ) -> None:
        self._spec, self._store, self._clock = spec, store, clock
        self._terms, self._weather = terms, weather
        self._begin = clock.time()
        self.jobs: dict[str, SimulatedJob] = {}
        self.saved: dict[str, float] = {}
        """Train node -> steps of its newest checkpoint."""
        self.first_checkpoint = math.inf
        """When there was the first checkpoint of a training that an arena waits for."""
        self._contenders = {seat.node for node in spec.nodes for seat in node.seats if seat.node}
        self.twice: list[str] = []
        """Stages of which two attempts ran at once: there must be none."""
        self._stale: dict[str, Observation] = {}
        slow = sorted((self._begin + f.at, f.speed) for f in weather.of(Slow))
        self._speeds = ((-math.inf, 1.0), *slow)
        self._reclaims = sorted((self._begin + f.at, f.killed) for f in weather.of(Reclaim))
        clock.next_change, clock.moved = self.next_change, self.advance

    def start(self, job: StageJob) -> None:
        """Start an attempt; its spec says what it is to do."""
        if job.name in self.jobs:
            return
        if self._away():
            raise PlatformAway("the API server does not answer")
        now, node = self._clock.time(), self._spec.node(job.stage)
        alive = [one for one in self.jobs.values() if one.code is None and one.node is node]
        self.twice += [job.stage] if alive else []
        prefix = attempt_prefix(job.run, job.stage, job.attempt)
        config = StageSpec.model_validate_json(self._store.get(f"{prefix}/spec.json")).config
        index = self._spec.nodes.index(node)
        estimate = self._terms.estimates[node.name]
        units, restored, total = estimate.work, 0.0, estimate.work
        if node.kind == "train":
            total = float(config["steps"])
            before = self.saved.get(node.continues or "", 0.0)
            restored = self.saved.get(node.name, before)
            units = max(0.0, total - restored)
        pace = self._weather.pace[index % len(self._weather.pace)]
        runs_at = now + self._weather.pending
        made = SimulatedJob(
            job=job,
            node=node,
            runs_at=runs_at,
            works_at=runs_at + estimate.start_s,
            units=units,
            unit_s=estimate.unit_s * pace,
            tail_s=estimate.tail_s * pace,
            restored=restored,
            total=total,
            speeds=self._speeds,
        )
        count = len(self._spec.nodes)
        for hang in self._weather.of(Hang):
            if (hang.stage % count, hang.attempt) == (index, job.attempt):
                made.freezes = hang.part * units
        for crash in self._weather.of(Crash):
            if (crash.stage % count, crash.attempt) == (index, job.attempt):
                made.crashes, made.crash_code = crash.part * units, crash.code
        self.jobs[job.name] = made

    def observe(self, jobs: Sequence[StageJob]) -> list[Observation]:
        """What the platform says; what it said last, while it is away."""
        if not self._away():
            known = [self.jobs[job.name] for job in jobs if job.name in self.jobs]
            self._stale = {one.job.name: self._see(one) for one in known}
        return [self._stale[job.name] for job in jobs if job.name in self._stale]

    def stop(self, job: StageJob) -> None:
        """Ask an attempt to end; one that has hung is killed after its grace period."""
        one, now = self.jobs.get(job.name), self._clock.time()
        if one is None or one.code is not None or one.stopped is not None or self._away():
            return
        if now < one.runs_at:
            one.stopped, one.stopped_at = (now + DELETED, Exit.PREEMPTED), now
        elif one.is_frozen(now):
            one.stopped, one.stopped_at = (now + GRACE, Exit.KILLED), now
        else:
            one.stopped, one.stopped_at = (now + self._weather.save, Exit.PREEMPTED), now
        self.advance(now)

    def trouble(self) -> str:
        return "no news: the API server does not answer" if self._away() else ""

    def sweep(self) -> list[Pod]:
        for one in self.jobs.values():
            self.stop(one.job)
        return [self._pod(one) for one in self.jobs.values() if one.code is None]

    def next_change(self, now: float) -> float:
        """When an attempt starts or ends by itself, or one is thrown out."""
        times = [at for at, _ in self._reclaims if at > now]
        for one in self.jobs.values():
            if one.code is None:
                times += [one.ends()[0], one.runs_at]
        return min((at for at in times if at > now), default=math.inf)

    def advance(self, now: float) -> None:
        """Let happen what happens until then."""
        while self._reclaims and self._reclaims[0][0] <= now:
            self._reclaim(*self._reclaims.pop(0))
        for one in self.jobs.values():
            if one.code is not None:
                continue
            at, code = one.ends()
            if at <= now:
                self._end(one, at, code)
            elif now >= one.works_at and now - one.beat >= BEAT:
                self._beat(one, now)

    def usd(self) -> float:
        """What was really spent, second by second."""
        spent = 0.0
        told = sorted(self._weather.of(PriceChange), key=lambda fault: fault.at)
        changes = [(self._begin + fault.at, fault.factor) for fault in told]
        for one in self.jobs.values():
            end = one.ended if one.code is not None else self._clock.time()
            rate = self._terms.prices.per_second(one.node, self._terms.on)
            start, factor = min(one.runs_at, end), 1.0
            for at, other in changes:
                if at < end:
                    spent += rate * factor * max(0.0, at - start)
                    start, factor = max(start, at), other
            spent += rate * factor * max(0.0, end - start)
        return spent

    def _reclaim(self, at: float, killed: bool) -> None:
        for one in self.jobs.values():
            runs = one.code is None and one.stopped is None and one.runs_at <= at
            if runs and one.node.kind == "train":
                code = Exit.KILLED if killed else Exit.PREEMPTED
                one.stopped_at, one.reason = at, "Preempted"
                one.stopped = (at + (0 if killed else self._weather.save), code)

    def _beat(self, one: SimulatedJob, now: float) -> None:
        if one.node.kind == "train":
            self._keep(one, one.restored + one.done(now), whole=False)
        if one.is_frozen(now):
            return
        one.beat = now
        done = int(one.restored + one.done(now))
        prefix = attempt_prefix(one.job.run, one.job.stage, one.job.attempt)
        beat = Heartbeat(time=now, done=done, total=int(one.total), unit="units")
        self._store.put(f"{prefix}/heartbeat.json", beat.model_dump_json().encode())

    def _keep(self, one: SimulatedJob, steps: float, *, whole: bool) -> None:
        """The newest checkpoint: where it stands, or the last regular one."""
        if not whole:
            steps = (
                steps // one.node.config["checkpoint_every"] * one.node.config["checkpoint_every"]
            )
        if steps > self.saved.get(one.node.name, 0.0):
            self.saved[one.node.name] = steps
            if one.node.name in self._contenders:
                self.first_checkpoint = min(self.first_checkpoint, self._clock.time())

    def _end(self, one: SimulatedJob, at: float, code: int) -> None:
        one.ended, one.code = at, int(code)
        if one.node.kind == "train":
            graceful = code in (Exit.OK, Exit.PREEMPTED) and at > one.works_at
            self._keep(one, one.restored + one.done(at), whole=graceful)
        if one.reason == "" and code not in (Exit.OK, Exit.PREEMPTED):
            one.reason = "Error"
        prefix = attempt_prefix(one.job.run, one.job.stage, one.job.attempt)
        if code == Exit.OK:
            steps = int(max(one.total, one.restored))
            made = product(self._spec, self._store, one, steps, self._weather.seed)
            outcome = Outcome(code=0, result=made, started=one.runs_at, ended=at)
            self._store.put(f"{prefix}/outcome.json", outcome.model_dump_json().encode())

    def _see(self, one: SimulatedJob) -> Observation:
        if one.code is not None:
            return Observation(
                job=one.job, phase="ended", exit_code=one.code, reason=one.reason,
                message="" if one.code in (0, 143) else f"ended with code {one.code}",
                pods=[self._pod(one)],
            )  # fmt: skip
        running = self._clock.time() >= one.runs_at
        return Observation(
            job=one.job, phase="running" if running else "waiting", pods=[self._pod(one)]
        )

    def _pod(self, one: SimulatedJob) -> Pod:
        started = one.runs_at if self._clock.time() >= one.runs_at else 0
        return Pod(name=one.job.name, gpus=one.node.gpus, started=started, ended=one.ended)

    def _away(self) -> bool:
        passed = self._clock.time() - self._begin
        return any(f.at <= passed < f.at + f.seconds for f in self._weather.of(Away))
