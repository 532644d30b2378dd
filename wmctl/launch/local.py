"""Stages as processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wm.stage.parent import PARENT
from wm.stage.spec import Kind
from wmctl.launch.base import Observation, Pod, StageJob

MODULES: dict[Kind, str] = {"encode": "encoder", "train": "trainer", "arena": "evaluator"}

GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL: time enough to save a checkpoint."""


def cpu_count() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class _Process:
    job: StageJob
    popen: subprocess.Popen[bytes]
    output: Path
    kill_at: float | None = None
    """Monotonic time after which it is killed, once it was asked to stop."""
    ended: Observation | None = None
    """What was seen of its end."""


class LocalLauncher:
    """Runs each stage as ``python -m STAGE --spec ADDRESS``.

    Stages stay in the conductor's process group, so that Ctrl-C reaches them, and die with it, so
    that a killed conductor leaves nothing at work behind.
    """

    detached = False

    def __init__(self) -> None:
        self._processes: dict[str, _Process] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="wmctl-")

    def __enter__(self) -> LocalLauncher:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        """Stop what still runs, within the grace period, and wait for it."""
        for process in self._processes.values():
            self.stop(process.job)
        while any(_look(process).phase == "running" for process in self._processes.values()):
            time.sleep(0.1)
        self._folder.cleanup()
        return False

    def start(self, job: StageJob) -> None:
        """Start the stage's process unless it runs already."""
        if job.name in self._processes:
            return
        output = Path(self._folder.name) / f"{job.name}.out"
        with output.open("wb") as out:
            popen = subprocess.Popen(
                [sys.executable, "-m", MODULES[job.kind], "--spec", job.spec],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=_environment() | {PARENT: str(os.getpid())},
            )
        self._processes[job.name] = _Process(job, popen, output)

    def observe(self, jobs: Sequence[StageJob]) -> list[Observation]:
        """Processes started here; those past their grace period are killed."""
        known = [self._processes[job.name] for job in jobs if job.name in self._processes]
        return [_look(process) for process in known]

    def stop(self, job: StageJob) -> None:
        """SIGTERM now, SIGKILL after the grace period."""
        process = self._processes.get(job.name)
        if process and process.popen.poll() is None and process.kill_at is None:
            process.popen.send_signal(signal.SIGTERM)
            process.kill_at = time.monotonic() + GRACE

    def trouble(self) -> str:
        """Processes of this machine can always be seen."""
        return ""

    def sweep(self) -> list[Pod]:
        """None: the conductor has seen every process end before a run is finished."""
        return []


def _environment() -> dict[str, str]:
    """Ours, but for the webhook's address: that is a secret, and no stage needs it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WM_WEBHOOK")}


def _look(process: _Process) -> Observation:
    if process.ended:
        return process.ended
    status = process.popen.poll()
    if status is None:
        if process.kill_at and time.monotonic() > process.kill_at:
            process.popen.kill()
        return Observation(job=process.job, phase="running")
    code = 128 - status if status < 0 else status
    output = process.output.read_bytes()[-20_000:].decode(errors="replace")
    process.ended = Observation(job=process.job, phase="ended", exit_code=code, output=output)
    return process.ended
