"""Where stages run: the small interface behind which launchers differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from wm.stage.spec import Kind


@dataclass(frozen=True, slots=True)
class StageJob:
    """One attempt of a stage, ready to start: its spec is in the store."""

    run: str
    stage: str
    attempt: int
    kind: Kind
    spec: str
    """Address of ``spec.json``."""

    @property
    def name(self) -> str:
        """Unique and deterministic: ``demo-1122-k3f9-train-chess-01``."""
        return f"{self.run}-{self.stage}-{self.attempt:02d}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What the platform says of one job."""

    job: StageJob
    phase: Literal["running", "ended"]
    exit_code: int | None = None
    """Once ended; 128 + N for signal N."""
    output: str = ""
    """Last lines of output, for an attempt that could not ship its own log."""


class Launcher(Protocol):
    """Starts, observes and stops the jobs of runs."""

    def start(self, job: StageJob) -> None:
        """Start a job; starting one that runs already changes nothing."""
        ...

    def observe(self) -> list[Observation]:
        """Every job that this launcher knows of."""
        ...

    def stop(self, job: StageJob) -> None:
        """Ask a job to save its state and end; kill it when its grace period is over."""
        ...
