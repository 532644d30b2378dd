"""The conductor: carries out what :mod:`wmctl.run.decide` says, and writes down what happened."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from wm.artifacts.model import read_aliases, set_alias
from wm.artifacts.result import ArenaResult
from wm.errors import Exit, explain
from wm.stage.spec import Outcome, StageSpec, attempt_prefix
from wm.store import Conflict, NotFound, Store
from wm.store.lease import Lease
from wmctl.launch.base import Launcher, Observation, StageJob
from wmctl.run.decide import (
    Action,
    DecideGate,
    Finish,
    Judge,
    RunState,
    Start,
    Stop,
    next_actions,
    read_state,
)
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec
from wmctl.run.verdict import judge

POLL = 0.2
"""Seconds between looks at the running stages."""
LEASE_TTL = 60.0
"""Seconds that a run's lease is held for; renewed at a third of it."""


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
    ) -> None:
        """``tell`` sees every event once; ``tick`` the state at every look, to show progress."""
        self._spec = spec
        self._store = store
        self._launcher = launcher
        self._cpus = cpus
        self._tell = tell
        self._tick = tick
        self._history = History(store, spec.run)
        self.interrupted = threading.Event()
        """Set it to stop the stages and return; the run can be taken up again."""

    def run(self, lease: Lease) -> int:
        """Go on until the run is finished or interrupted; returns the run's exit code."""
        self._recover()
        self._append("resumed" if self._history.events else "submitted")
        while True:
            self._watch()
            state = read_state(self._spec, self._history.events)
            self._tick(state)
            if state.finished:
                return state.finished.code or 0
            if self.interrupted.is_set():
                return self._interrupt(lease)
            _keep(lease)
            actions = next_actions(self._spec, self._history.events, time.time(), cpus=self._cpus)
            for action in actions:
                self._carry_out(action)
            if not actions or all(isinstance(a, Stop) for a in actions):
                self.interrupted.wait(POLL)

    def _recover(self) -> None:
        """Settle attempts that an earlier conductor started and did not see end."""
        state = read_state(self._spec, self._history.events)
        alive = {o.job.stage for o in self._launcher.observe() if o.phase == "running"}
        for stage, node in state.nodes.items():
            if node.phase == "running" and stage not in alive:
                self._end(stage, node.attempt, Exit.KILLED, "its conductor died")

    def _watch(self) -> None:
        state = read_state(self._spec, self._history.events)
        for seen in self._launcher.observe():
            node = state.nodes[seen.job.stage]
            is_open = node.phase == "running" and node.attempt == seen.job.attempt
            if seen.phase == "ended" and is_open:
                self._keep_output(seen)
                self._end(seen.job.stage, seen.job.attempt, seen.exit_code or 0, "")

    def _end(self, stage: str, attempt: int, code: int, message: str) -> None:
        """Write the end of an attempt. Its own outcome counts more than its exit code."""
        try:
            key = f"{attempt_prefix(self._spec.run, stage, attempt)}/outcome.json"
            outcome = Outcome.model_validate_json(self._store.get(key))
        except NotFound:
            code = code or Exit.BUG  # exit 0 without an outcome is a lie
            self._append(
                "ended",
                stage=stage,
                attempt=attempt,
                code=code,
                text=message or explain(code),
                hint=f"see wmctl logs {self._spec.run} {stage}",
            )
            return
        self._append(
            "ended",
            stage=stage,
            attempt=attempt,
            code=outcome.code,
            text=outcome.message,
            hint=outcome.hint,
            detail={**outcome.result, "peak_mb": outcome.peak_mb},
        )

    def _keep_output(self, seen: Observation) -> None:
        """An attempt that died before it could ship its log still leaves one."""
        key = f"{attempt_prefix(seen.job.run, seen.job.stage, seen.job.attempt)}/log.txt"
        if seen.output and self._store.head(key) is None:
            self._store.put(key, seen.output.encode())

    def _carry_out(self, action: Action) -> None:
        match action:
            case Start():
                self._start(action)
            case Stop():
                self._launcher.stop(self._job(action.stage, action.attempt))
            case DecideGate():
                self._append(
                    "gate",
                    name=action.name,
                    outcome=action.outcome,
                    text=action.text,
                    detail=action.detail,
                )
            case Judge():
                self._judge(action)
            case Finish():
                self._append("finished", code=action.code, text=action.text)

    def _start(self, action: Start) -> None:
        spec = StageSpec(
            run=self._spec.run,
            stage=action.node.name,
            attempt=action.attempt,
            kind=action.node.kind,
            config=action.config,
        )
        # The spec is the ledger's entry. We hold the lease, so one that is there already was
        # written by a conductor that died before it could write the event.
        self._store.put(f"{spec.prefix}/spec.json", spec.model_dump_json(indent=1).encode())
        self._append("started", stage=spec.stage, attempt=spec.attempt)
        self._launcher.start(self._job(spec.stage, spec.attempt))

    def _job(self, stage: str, attempt: int) -> StageJob:
        run = self._spec.run
        address = f"{self._store.url}/{attempt_prefix(run, stage, attempt)}/spec.json"
        node = self._spec.node(stage)
        return StageJob(
            run=run,
            stage=stage,
            attempt=attempt,
            kind=node.kind,
            spec=address,
            pods=node.pods,
            processes=node.processes,
            resources=node.resources,
        )

    def _judge(self, action: Judge) -> None:
        if action.stopped:
            self._append("verdict", name=action.name, outcome="stop", text=action.stopped)
            return
        verdict = self._spec.plan.verdicts[action.name]
        state = read_state(self._spec, self._history.events)
        result = ArenaResult.model_validate_json(
            self._store.get(state.nodes[verdict.arena].result["result"])
        )
        judgement = judge(verdict, result)
        # Before the event: a conductor that dies between the two sets the alias again.
        if verdict.alias and judgement.outcome == "promote" and judgement.model:
            self._set_alias(verdict.alias, judgement.model)
        self._append(
            "verdict",
            name=action.name,
            outcome=judgement.outcome,
            text=judgement.text,
            detail=judgement.model_dump(mode="json"),
        )

    def _set_alias(self, alias: str, model: str) -> None:
        _, name, version = model.split("/")
        while True:
            aliases, tag = read_aliases(self._store, name)
            if aliases.get(alias) == version:
                return
            with contextlib.suppress(Conflict):  # somebody changed another alias meanwhile
                set_alias(self._store, name, alias, version, tag)

    def _interrupt(self, lease: Lease) -> int:
        """Stop every stage within its grace period and settle what it left."""
        self._append("interrupted")
        while running := [o for o in self._launcher.observe() if o.phase == "running"]:
            for seen in running:
                self._launcher.stop(seen.job)
            time.sleep(POLL)
            _keep(lease)
        self._watch()
        self._tick(read_state(self._spec, self._history.events))
        return Exit.PREEMPTED

    def _append(self, kind: str, **fields: object) -> None:
        try:
            event = self._history.append(kind, **fields)  # type: ignore[arg-type]
        except Conflict as error:
            error.message = f"another conductor writes the history of {self._spec.run}"
            error.hint = "wait for it to end; wmctl status shows how far it is"
            raise
        self._tell(event)


def _keep(lease: Lease) -> None:
    if lease.record.expires_at - time.time() < LEASE_TTL * 2 / 3:
        lease.renew()
