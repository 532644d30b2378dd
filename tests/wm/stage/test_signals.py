"""SIGTERM at any moment of a stage's life ends it with 143, and never with a traceback."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wm.stage import StageSpec
from wm.stage.signals import stop_on_signal
from wm.store import open_store

ROOT = Path(__file__).resolve().parents[3]


SPY = """
import runpy, signal, sys

class Spy:
    def find_spec(name, *_):
        if name in ("pydantic", "numpy", "torch", "boto3"):
            print(callable(signal.getsignal(signal.SIGTERM)))
            raise SystemExit(0)

sys.meta_path.insert(0, Spy)
runpy.run_module(sys.argv[1], run_name="__main__")
"""


def address(root: Path, kind: str, config: dict[str, object]) -> str:
    spec = StageSpec(run="r", stage="s", attempt=1, kind=kind, config=config)  # type: ignore[arg-type]
    open_store(str(root)).put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    return f"{root}/{spec.prefix}/spec.json"


def stopped(command: list[str], after: float, number: signal.Signals) -> tuple[int, str]:
    """Exit code as a shell has it, and what was said."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    time.sleep(after)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    code = process.returncode
    return (128 - code if code < 0 else code), said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment_from_the_start_on(tmp_path: Path, number: signal.Signals) -> None:
    where = address(tmp_path, "encode", {"act": "wait"})
    command = [sys.executable, "-m", "tests.support.acting_stage", "--spec", where]
    chance = random.Random(number)
    for _ in range(12):
        # Before 0.15 s the interpreter itself may still start: SIGINT then is Python's own.
        after = chance.uniform(0.0 if number == signal.SIGTERM else 0.3, 1.5)
        code, said = stopped(command, after, number)
        assert code == 143, (after, said)
        assert "Traceback" not in said, (after, said)


@pytest.mark.parametrize("module", ["encoder", "trainer", "evaluator"])
def test_every_stage_can_be_stopped_while_it_starts(tmp_path: Path, module: str) -> None:
    """Its spec is not even there: what counts is that imports end at once."""
    command = [sys.executable, "-m", module, "--spec", f"{tmp_path}/runs/r/s/01/spec.json"]
    for after in (0.05, 0.15, 0.25):
        code, said = stopped(command, after, signal.SIGTERM)
        assert code in (143, 66), said  # 66: it was faster
        assert "Traceback" not in said


def test_the_handlers_are_there_before_the_imports() -> None:
    """PID 1 of a container ignores SIGTERM for as long as it has no handler."""
    for module in ("encoder", "trainer", "evaluator"):
        command = [sys.executable, "-c", SPY, module]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.stdout == "True\n", (module, done.stderr)


def test_pid_1_of_a_container_heeds_sigterm(tmp_path: Path) -> None:
    """The kernel drops a signal to PID 1 of a namespace that has no handler for it."""
    where = address(tmp_path, "encode", {"act": "wait"})
    stage = [sys.executable, "-m", "tests.support.acting_stage", "--spec", where]
    for after in (0.5, 0.8, 2.0):  # while it imports, and at work
        command = ["unshare", "--pid", "--fork", "--kill-child", *stage]
        outside = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        while outside.poll() is None and not (inside := children.read_text().split()):
            time.sleep(0.01)
        if outside.poll() is not None:
            pytest.skip("only root may make a PID namespace")
        time.sleep(after)
        os.kill(int(inside[0]), signal.SIGTERM)
        said = outside.communicate(timeout=30)[0]
        assert outside.returncode == 143, (after, said)
        assert "Traceback" not in said


def test_a_signal_inside_the_events_own_lock_is_no_deadlock() -> None:
    """A handler that sets the event itself would wait for the lock that it interrupted."""
    stopping = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        stop_on_signal(stopping)
        with stopping._cond:  # as the main thread does inside stopping.wait()
            signal.raise_signal(signal.SIGTERM)
        assert stopping.wait(10)
        signal.raise_signal(signal.SIGTERM)  # again and again is harmless
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
