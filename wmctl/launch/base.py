"""Where stages run: the small interface behind which launchers differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from wm.errors import Exit, WmError
from wm.stage.spec import Kind
from wmctl.plan.model import Resources


class StageJob(BaseModel):
    """One attempt of a stage, ready to start: its spec is in the store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    stage: str
    attempt: int
    kind: Kind
    spec: str
    """Address of ``spec.json``."""
    pods: int = 1
    """Members that work on the attempt together, where the platform can start several."""
    processes: int = 1
    """Training processes of one member."""
    resources: Resources = Resources()
    """What one member asks for."""

    @property
    def name(self) -> str:
        """Unique and deterministic: ``demo-1122-k3f9-train-chess-01``."""
        return f"{self.run}-{self.stage}-{self.attempt:02d}"


class Step(BaseModel):
    """One line of the phase tree of an attempt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """``submitted``, ``admitted``, ``scheduled``, ``image pulled``, ``running`` or ``done``."""
    state: Literal["done", "waiting", "failed"]
    since: float = 0
    """Seconds since the epoch at which this state was reached; 0 where unknown."""
    text: str = ""
    """What it waits for or why it failed, in the platform's own words."""
    advice: str = ""
    """One line on what to do."""


class Pod(BaseModel):
    """One container of a stage as the platform saw it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    node: str = ""
    phase: str = ""
    gpus: int = 0
    started: float = 0
    """Start of the container in seconds since the epoch; 0 before it."""
    ended: float = 0
    """End of the container; 0 while it runs."""
    exit_code: int | None = None
    reason: str = ""
    """The platform's word for how it ended: ``OOMKilled``, ``Evicted``, ``Error`` …"""
    image: str = ""
    """Image by digest, as it was really pulled."""


class Observation(BaseModel):
    """What the platform says of one job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: StageJob
    phase: Literal["waiting", "running", "ended"]
    """``waiting`` until a process of the stage runs; ``ended`` also when it never will."""
    exit_code: int | None = None
    """Once ended; 128 + N for signal N."""
    reason: str = ""
    """The platform's word for the end, such as ``OOMKilled`` or ``ErrImagePull``."""
    message: str = ""
    """What happened, in one sentence; empty where the stage's own outcome says it."""
    hint: str = ""
    output: str = ""
    """Last lines of output, for an attempt that could not ship its own log."""
    steps: Sequence[Step] = ()
    """The phase tree, up to the first step that is not done."""
    pods: Sequence[Pod] = ()


class Launcher(Protocol):
    """Starts, observes and stops the jobs of one run."""

    detached: bool
    """Whether stages outlive their conductor: then it leaves them at work when it is stopped."""

    def start(self, job: StageJob) -> None:
        """Start a job; starting one that was started already changes nothing."""
        ...

    def observe(self, jobs: Sequence[StageJob]) -> list[Observation]:
        """What the platform says of these jobs; one that it does not know is left out."""
        ...

    def stop(self, job: StageJob) -> None:
        """Ask a job to save its state and end; kill it when its grace period is over. Nothing
        changes for a job that has ended."""
        ...

    def trouble(self) -> str:
        """Why what :meth:`observe` says may be old, in a sentence; empty while all is well."""
        ...

    def sweep(self) -> list[Pod]:
        """Ask whatever of the run has not ended to end; returns the pods that are still there."""
        ...


class PlatformAway(WmError):
    """The platform cannot be asked just now; asking again may help."""

    code = Exit.STORE_UNREACHABLE
