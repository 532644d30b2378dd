from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wmctl.launch import local
from wmctl.launch.base import Observation, StageJob
from wmctl.launch.local import LocalLauncher


def job(stage: str = "enc") -> StageJob:
    return StageJob(run="r", stage=stage, attempt=1, kind="encode", spec="ignored")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that is run in place of the encoder."""
    monkeypatch.setitem(local.MODULES, "encode", "fake_encoder")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "fake_encoder.py"


def wait_for_end(launcher: LocalLauncher) -> Observation:
    for _ in range(600):
        [seen] = launcher.observe([job()])
        if seen.phase == "ended":
            return seen
        time.sleep(0.02)
    raise AssertionError("it did not end")


def test_exit_code_and_output_are_seen(script: Path) -> None:
    script.write_text("import sys; print('hello'); sys.exit(65)")
    with LocalLauncher() as launcher:
        launcher.start(job())
        launcher.start(job())  # starting twice is starting once
        seen = wait_for_end(launcher)
    assert (seen.exit_code, seen.output) == (65, "hello\n")


def test_a_killed_stage_ends_with_128_and_the_signal(script: Path) -> None:
    script.write_text("import os; os.kill(os.getpid(), 9)")
    with LocalLauncher() as launcher:
        launcher.start(job())
        assert wait_for_end(launcher).exit_code == 137


def test_stop_asks_first(script: Path, tmp_path: Path) -> None:
    script.write_text(
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    with LocalLauncher() as launcher:
        launcher.start(job())
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        launcher.stop(job())
        assert wait_for_end(launcher).exit_code == 143


def test_what_does_not_stop_in_its_grace_period_is_killed(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE", 0.2)
    script.write_text(
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    with LocalLauncher() as launcher:
        launcher.start(job())
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        launcher.stop(job())
        assert wait_for_end(launcher).exit_code == 137


def test_a_stage_dies_with_a_killed_conductor(script: Path, tmp_path: Path) -> None:
    script.write_text(
        "import os, pathlib, time\n"
        "from wm.stage.parent import die_with_parent\n"
        "die_with_parent()\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    conductor = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\n"
            "from wmctl.launch import local\n"
            "from wmctl.launch.base import StageJob\n"
            "local.MODULES['encode'] = 'fake_encoder'\n"
            "launcher = local.LocalLauncher()\n"
            "job = StageJob(run='r', stage='enc', attempt=1, kind='encode', spec='ignored')\n"
            "launcher.start(job)\n"
            "time.sleep(60)\n",
        ]
    )
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.02)
    stage = int(pid.read_text())
    conductor.kill()
    conductor.wait()
    for _ in range(200):
        if not _is_alive(stage):
            return
        time.sleep(0.05)
    os.kill(stage, signal.SIGKILL)
    raise AssertionError("the stage outlived its conductor")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
