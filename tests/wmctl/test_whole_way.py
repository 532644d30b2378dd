"""The whole way as real processes: from raw games to verdicts, undisturbed and under fire."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.tiny import run, submit_command
from wm.artifacts.dataset import list_datasets, verify_dataset
from wm.store import open_store
from wmctl.run.find import find_run
from wmctl.run.fold import read_state
from wmctl.run.history import History


def weights(store: Path) -> dict[str, bytes]:
    """Stage and hash of every model -> its bytes; the run's name depends on the day."""
    files = sorted((store / "models").glob("*/*/weights.safetensors"))
    return {path.parent.name.partition(".")[2]: path.read_bytes() for path in files}


def test_a_run_ends_with_verdicts_on_both_games(finished: Path) -> None:
    store = open_store(str(finished))
    spec = find_run(store, None)
    state = read_state(spec, History(store, spec.run).events)
    assert {node.phase for node in state.nodes.values()} == {"done"}
    assert set(state.verdicts) == {"chess", "melee"}
    assert {v.outcome for v in state.verdicts.values()} <= {"promote", "hold"}
    assert len(weights(finished)) == 4
    for key in list_datasets(store):
        verify_dataset(store, key)


def test_submitting_again_repeats_nothing(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    again = run(submit_command(finished))
    assert again.returncode == 0
    assert "is finished" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*") if p.is_file()} == before


@pytest.mark.timeout(400)
def test_ten_kills_at_random_moments_change_no_bit(finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    moments = random.Random(7)
    for _ in range(10):
        with (tmp_path / "out").open("w") as out:
            process = subprocess.Popen(
                submit_command(store), stdout=out, stderr=out, start_new_session=True
            )
        time.sleep(moments.uniform(0.5, 9))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = run(submit_command(store))
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(store) == weights(finished)


def test_a_stopped_run_saves_its_state_and_goes_on(finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = subprocess.Popen(
        submit_command(store), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    for line in process.stdout:
        if "train" in line and "started" in line:
            break
    time.sleep(5)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 143, rest
    assert "submit the plan again to go on" in rest
    done = run(submit_command(store))
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(store) == weights(finished)
