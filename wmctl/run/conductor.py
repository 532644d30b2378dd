"""The conductor: carries out what :mod:`wmctl.run.decide` says, and writes down what happened."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from pydantic import ValidationError

from wm.artifacts.result import ArenaResult
from wm.errors import Exit
from wm.store import Conflict, NotFound, Store
from wm.store.lease import Lease
from wmctl.launch.base import Launcher, Observation, StageJob
from wmctl.run.attempts import Attempts
from wmctl.run.cancel import wanted
from wmctl.run.clock import Clock, SystemClock
from wmctl.run.decide import Action, Finish, Over, Start, Stop, decide
from wmctl.run.events import event_of
from wmctl.run.fold import read_state
from wmctl.run.history import Event, History
from wmctl.run.ledger import record
from wmctl.run.outlook import outlook, write_outlook
from wmctl.run.phases import PhasesFile
from wmctl.run.price_list import read_price_list
from wmctl.run.promote import promote
from wmctl.run.rules import Judge
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.run.terms import Terms
from wmctl.run.waiting import Waiting
from wmctl.run.watch import Watch

POLL = 0.2
"""Seconds between looks at the running stages."""
LEASE_TTL = 30.0
"""Seconds that a run's lease is held for; renewed at a third of it."""
CANCEL_EVERY = 2.0
"""Seconds between looks for a wish to cancel the run."""
OUTCOMES_EVERY = 10.0
"""Seconds between looks for outcomes that the platform does not tell of."""
START_AGAIN = 5.0
"""Seconds between tries to start a job while the platform is away."""
FORECAST_EVERY = 60.0
"""Seconds between forecasts that are published, and looks for other prices."""
SWEEP_FOR = 150.0
"""Seconds that the last pods of a run are waited for."""

logger = logging.getLogger("wm.conductor")


class Conductor:
    """Walks one run's graph to its end. There is one at a time: it holds the run's lease."""

    def __init__(
        self,
        spec: RunSpec,
        store: Store,
        launcher: Launcher,
        *,
        cpus: int,
        tell: Callable[[Event], None] = lambda event: None,
        tick: Callable[[RunState], None] = lambda state: None,
        clock: Clock | None = None,
    ) -> None:
        """``tell`` sees every event once; ``tick`` the state at every look, to show progress."""
        self._spec = spec
        self._store = store
        self._launcher = launcher
        self._cpus = cpus
        self._tell = tell
        self._tick = tick
        self._clock = clock or SystemClock()
        self._history = History(store, spec.run)
        self._phases = PhasesFile(store, spec.run)
        self._attempts = Attempts(spec, store, launcher, self._append, self._clock)
        self._watcher = Watch(spec, store, self._clock)
        now = self._clock.monotonic()
        self._looks = {"cancel": 0.0, "outcomes": now, "start": 0.0, "forecast": 0.0}
        self._folded: tuple[int, RunState] | None = None
        """Number of events, and the state that they fold into."""
        self._waiting = Waiting(self._clock)
        self._left: set[str] = set()
        """Attempts that had left an outcome at the last look and are still said to run."""
        self.interrupted = threading.Event()
        """Set it to stop and return; the run can be taken up again. Stages are stopped too, unless
        the launcher is detached."""

    def run(self, lease: Lease, *, submitted: bool = True, terms: Terms | None = None) -> int:
        """Go on until the run is finished or interrupted; returns the run's exit code.

        ``submitted`` says that this is a submission on ``terms``, so that failed stages are tried
        again; not so for a conductor that only follows one that died, or for whom others entered
        it.
        """
        if submitted:
            detail = terms.model_dump(mode="json") if terms else {}
            self._append("resumed" if self._history.events else "submitted", detail=detail)
        self._recover()
        while True:
            self._watch()
            state = self._state()
            self._tick(state)
            if state.finished:
                return state.finished.code or 0
            if self.interrupted.is_set():
                return self._interrupt(lease)
            self._keep(lease, state)
            now = self._clock.time()
            actions = decide(self._spec, self._state(), now, cpus=self._cpus, read=self._read)
            for action in actions:
                self._carry_out(action, now)
            if not actions or all(isinstance(a, Stop) for a in actions):
                self._clock.wait(self.interrupted, POLL)

    def _state(self) -> RunState:
        count = len(self._history.events)
        if self._folded is None or self._folded[0] != count:
            self._folded = count, read_state(self._spec, self._history.events)
        return self._folded[1]

    def _recover(self) -> None:
        """Settle attempts that an earlier conductor started and that nobody knows of any more."""
        jobs = self._attempts.running(self._state())
        known = {seen.job.name for seen in self._launcher.observe(jobs)}
        for job in jobs:
            if job.name not in known:
                detail = {"reason": "ConductorDied"}
                self._attempts.end(job, Exit.KILLED, "its conductor died", detail=detail)

    def _watch(self) -> None:
        """Look at the attempts under way, and write down the ends of those that have ended."""
        jobs = self._attempts.running(self._state())
        seen = self._launcher.observe(jobs)
        state = self._state()
        for one in seen:
            if one.phase == "ended":
                self._settle(one, hung=state.nodes[one.job.stage].hung)
        if self._watcher.is_due():
            self._feel(jobs, seen)
        if not self._launcher.detached:
            return
        ended = {one.job.stage for one in seen if one.phase == "ended"}
        if self._is_time("outcomes", OUTCOMES_EVERY):
            self._believe([job for job in jobs if job.stage not in ended])
        unstarted = self._attempts.unstarted()
        self._show([one for one in seen if one.job.stage not in ended] + unstarted)

    def _settle(self, seen: Observation, *, hung: bool) -> None:
        ended = self._attempts.settle(seen, hung=hung)
        state, node = self._state(), self._spec.node(seen.job.stage)
        own = state.nodes[node.name]
        if ended.code == Exit.OK and own.attempt == 1 and state.terms.hardware:
            record(
                self._store,
                node,
                own.ended - own.started,
                ended.detail,
                hardware=state.terms.hardware,
                run=self._spec.run,
                time=own.ended,
            )

    def _feel(self, jobs: list[StageJob], seen: list[Observation]) -> None:
        """Write down how far running attempts are, where that is news, and which have hung."""
        state = self._state()
        under_way = [job for job in jobs if state.nodes[job.stage].phase == "running"]
        news, hung = self._watcher.look(state, under_way, seen)
        if news:
            self._append("observed", detail=news)
        for job in hung:
            seconds = self._spec.plan.hang_s
            text = f"{job.stage} has given no sign of life for {seconds:g} s; it is ended"
            self._append("hung", stage=job.stage, attempt=job.attempt, text=text)

    def _believe(self, jobs: list[StageJob]) -> None:
        """A node that is cut off does not say so, but what ran there may have left its outcome.

        Believed at the second look: between the outcome and the platform's word for the end lies a
        moment, and that word brings more.
        """
        left = {job.name for job in jobs if self._attempts.has_outcome(job)}
        for job in jobs:
            if job.name in left & self._left:
                self._attempts.end(job, Exit.OK)
        self._left = left

    def _show(self, seen: list[Observation]) -> None:
        """Tell people what the platform is doing, when that has changed."""
        self._waiting.tell(seen)
        if (phases := self._phases.keep(seen, self._launcher.trouble())) is None:
            return
        if phases.trouble:
            logger.info("%s", phases.trouble)

    def _look_for_cancel(self, state: RunState) -> None:
        if state.cancelled or not self._is_time("cancel", CANCEL_EVERY):
            return
        if wish := wanted(self._store, self._spec.run, state.since):
            self._append("cancelled", text=f"cancelled by {wish.by}")

    def _is_time(self, what: str, every: float) -> bool:
        if self._clock.monotonic() - self._looks[what] < every:
            return False
        self._looks[what] = self._clock.monotonic()
        return True

    def _read(self, key: str) -> ArenaResult:
        return ArenaResult.model_validate_json(self._store.get(key))

    def _carry_out(self, action: Action, now: float) -> None:
        """``now`` is the moment for which the action was decided."""
        match action:
            case Start():
                self._attempts.start(action, now)
                return
            case Stop():
                self._attempts.stop(self._state(), action.stage)
                return
            case Finish():
                self._sweep()
            case Judge():
                # Before the event: a conductor that dies between the two sets the alias again.
                promote(self._store, self._spec, action)
        kind, fields = event_of(action)
        at = None if isinstance(action, Finish) else now
        self._append(kind, at=at, **fields)
        if isinstance(action, Over):
            logger.info("%s", action.text)

    def _interrupt(self, lease: Lease) -> int:
        """Stop every stage within its grace period and settle what it left; detached stages go on
        and are taken up by the next conductor."""
        if self._launcher.detached:
            return Exit.PREEMPTED
        self._append("interrupted")
        while jobs := self._attempts.running(self._state()):
            for job in jobs:
                self._launcher.stop(job)
            self._clock.wait(threading.Event(), POLL)
            self._keep(lease, self._state())
            self._watch()
        self._tick(self._state())
        return Exit.PREEMPTED

    def _sweep(self) -> None:
        """Nothing of a finished run may hold a machine: see to it, and write down what was seen."""
        if not self._launcher.detached:
            return
        self._show([])
        until = self._clock.monotonic() + SWEEP_FOR
        while (left := self._launcher.sweep()) and self._clock.monotonic() < until:
            self._clock.wait(threading.Event(), POLL)
        gpus = sum(pod.gpus for pod in left)
        if left:
            names = ", ".join(pod.name for pod in left)
            text = f"{len(left)} pods of the run are still there and hold {gpus} GPUs: {names}"
        else:
            text = "no pod of the run is left running, and none holds a GPU"
        self._append("swept", text=text, detail={"pods": len(left), "gpus": gpus})

    def _keep(self, lease: Lease, state: RunState) -> None:
        """What has to be seen to now and then."""
        if lease.record.expires_at - self._clock.time() < LEASE_TTL * 2 / 3:
            lease.renew()
        if self._is_time("start", START_AGAIN):
            self._attempts.start_again()
        self._look_for_cancel(state)
        if self._is_time("forecast", FORECAST_EVERY):
            self._look_for_prices(state)
            now = self._clock.time()
            write_outlook(self._store, self._spec.run, outlook(self._spec, self._state(), now))

    def _look_for_prices(self, state: RunState) -> None:
        with contextlib.suppress(NotFound, ValidationError):
            listed = read_price_list(self._store, self._spec.run)
            if listed.since >= state.prices[-1][0] and listed.prices != state.prices[-1][1]:
                text = f"other prices, by {listed.by}"
                detail = {"since": listed.since, "prices": listed.prices.model_dump(mode="json")}
                self._append("priced", text=text, detail=detail)

    def _append(self, kind: str, *, at: float | None = None, **fields: object) -> Event:
        moment = self._clock.time() if at is None else at
        try:
            event = self._history.append(kind, at=moment, **fields)  # type: ignore[arg-type]
        except Conflict as error:
            error.message = f"another conductor writes the history of {self._spec.run}"
            error.hint = "wait for it to end; wmctl status shows how far it is"
            raise
        self._tell(event)
        return event
