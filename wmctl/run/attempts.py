"""The attempts of a run: started through a launcher, entered in the ledger, settled when they end.

The ledger is the store: an attempt's ``spec.json`` is written before it starts, its
``outcome.json`` by itself, and the history says when each was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from wm.errors import Exit, WmError, explain
from wm.stage.chunks import append_missing
from wm.stage.memory import OOM_KILLED
from wm.stage.spec import Outcome, StageSpec, attempt_prefix
from wm.store import NotFound, Store
from wmctl.launch.base import Launcher, Observation, PlatformAway, StageJob, Step
from wmctl.run.clock import Clock
from wmctl.run.decide import Start
from wmctl.run.history import Event, EventKind
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

START_DEADLINE = 1800.0
"""Seconds that a platform may be away for before an attempt that it did not start is given up."""


@dataclass(frozen=True, slots=True)
class _Unstarted:
    job: StageJob
    error: PlatformAway
    since: float


class Append(Protocol):
    """Writes an event to the run's history."""

    def __call__(self, kind: EventKind, *, at: float | None = None, **fields: Any) -> Event: ...


class Attempts:
    """Starts and settles attempts."""

    def __init__(
        self, spec: RunSpec, store: Store, launcher: Launcher, append: Append, clock: Clock
    ) -> None:
        self._clock = clock
        self._spec = spec
        self._store = store
        self._launcher = launcher
        self._append = append
        self._unstarted: dict[str, _Unstarted] = {}
        """Stage -> its job, while the platform could not be asked to start it."""

    def running(self, state: RunState) -> list[StageJob]:
        """The attempts that are under way."""
        return [
            self._job(name, node.attempt, node.memory)
            for name, node in state.nodes.items()
            if node.phase == "running"
        ]

    def start(self, action: Start, now: float) -> None:
        """Enter an attempt in the ledger and start it, as was decided for ``now``."""
        spec = StageSpec(
            run=self._spec.run,
            stage=action.node.name,
            attempt=action.attempt,
            kind=action.node.kind,
            config=action.config,
        )
        # We hold the lease, so a spec that is there already was written by a conductor that died
        # before it could write the event.
        self._store.put(f"{spec.prefix}/spec.json", spec.model_dump_json(indent=1).encode())
        memory = action.resources.memory
        detail: dict[str, Any] = {"memory": memory}
        if steps := action.config.get("steps"):
            detail["steps"] = steps
        self._append("started", at=now, stage=spec.stage, attempt=spec.attempt, detail=detail)
        self._launch(self._job(spec.stage, spec.attempt, memory))

    def start_again(self) -> None:
        """Try once more what the platform was away for."""
        for waiting in list(self._unstarted.values()):
            self._launch(waiting.job)

    def unstarted(self) -> list[Observation]:
        """What could not be started yet, and why."""
        return [
            Observation(
                job=waiting.job,
                phase="waiting",
                steps=[
                    Step(
                        name="submitted",
                        state="waiting",
                        since=waiting.since,
                        text=waiting.error.message,
                        advice=waiting.error.hint,
                    )
                ],
            )
            for waiting in self._unstarted.values()
        ]

    def stop(self, state: RunState, stage: str) -> None:
        """Ask the stage's attempt to save its state and end."""
        node = state.nodes[stage]
        self._unstarted.pop(stage, None)
        self._launcher.stop(self._job(stage, node.attempt, node.memory))

    def settle(self, seen: Observation, *, hung: bool = False) -> Event:
        """Write down the end that the platform saw; ``hung``: we had to end it."""
        if seen.output:
            append_missing(self._store, _prefix(seen.job), seen.output.encode())
        pods = [pod.model_dump(exclude_defaults=True) for pod in seen.pods]
        ended = self.end(
            seen.job,
            seen.exit_code or 0,
            seen.message,
            hint=seen.hint,
            detail={"reason": seen.reason, "pods": pods},
            hung=hung,
        )
        self._launcher.stop(seen.job)  # one that ended because it can never start is still there
        return ended

    def has_outcome(self, job: StageJob) -> bool:
        """Whether the attempt says that it has ended, whatever the platform says."""
        return self._store.head(_outcome(job)) is not None

    def end(
        self,
        job: StageJob,
        code: int,
        message: str = "",
        *,
        hint: str = "",
        detail: dict[str, Any] | None = None,
        hung: bool = False,
    ) -> Event:
        """Write the end of an attempt. Its own outcome counts more than what the platform says,
        but for a want of memory, which a process may not have noticed."""
        self._unstarted.pop(job.stage, None)
        detail = {name: value for name, value in (detail or {}).items() if value}
        try:
            outcome = Outcome.model_validate_json(self._store.get(_outcome(job)))
        except NotFound:
            code = code or Exit.BUG  # exit 0 without an outcome is a lie
            message = message or explain(code)
            hint = hint or f"see wmctl logs {job.run} {job.stage}"
        else:
            detail = outcome.result | {"peak_mb": outcome.peak_mb} | detail
            unnoticed = detail.get("reason") == OOM_KILLED and not outcome.reason
            if outcome.code and unnoticed:
                code = Exit.KILLED
            else:
                code, message, hint = outcome.code, outcome.message, outcome.hint
            if outcome.reason:
                detail["reason"] = outcome.reason
        if code == Exit.OK:
            detail.pop("reason", None)
        elif hung:
            code, message = Exit.HANG, "it gave no sign of life and was ended"
            hint = "see wmctl logs; a new attempt goes on from the last checkpoint"
        return self._append(
            "ended",
            stage=job.stage,
            attempt=job.attempt,
            code=code,
            text=message,
            hint=hint,
            detail=detail,
        )

    def _launch(self, job: StageJob) -> None:
        try:
            self._launcher.start(job)
        except PlatformAway as error:
            known = self._unstarted.get(job.stage)
            since = known.since if known else self._clock.time()
            if self._clock.time() - since > START_DEADLINE:
                self.end(job, Exit.ATTEMPTS_EXHAUSTED, error.message, hint=error.hint)
            else:
                self._unstarted[job.stage] = _Unstarted(job, error, since)
        except WmError as error:
            self.end(job, error.code, error.message, hint=error.hint)
        else:
            self._unstarted.pop(job.stage, None)

    def _job(self, stage: str, attempt: int, memory: str) -> StageJob:
        run, node = self._spec.run, self._spec.node(stage)
        given = {
            "memory": memory or node.resources.memory,
            "cpus": node.resources.cpus or float(node.cpus),
        }
        return StageJob(
            run=run,
            stage=stage,
            attempt=attempt,
            kind=node.kind,
            spec=f"{self._store.url}/{attempt_prefix(run, stage, attempt)}/spec.json",
            pods=node.pods,
            processes=node.processes,
            resources=node.resources.model_copy(update=given),
        )


def _prefix(job: StageJob) -> str:
    return attempt_prefix(job.run, job.stage, job.attempt)


def _outcome(job: StageJob) -> str:
    return f"{_prefix(job)}/outcome.json"
