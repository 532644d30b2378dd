"""``--once`` with real processes: an attempt is begun by one process only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wm.stage import Outcome, StageSpec
from wm.stage.claim import claim
from wm.store import open_store

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "runs/r/s/02"


def spec(kind: str = "train", act: str = "end well") -> StageSpec:
    return StageSpec(run="r", stage="s", attempt=2, kind=kind, config={"act": act})  # type: ignore[arg-type]


def play(root: Path, made: StageSpec, pod: str, *words: str) -> subprocess.CompletedProcess[str]:
    open_store(str(root)).put(f"{PREFIX}/spec.json", made.model_dump_json().encode())
    module = "tests.support.acting_stage"
    command = [sys.executable, "-m", module, "--spec", f"{root}/{PREFIX}/spec.json", *words]
    environment = os.environ | {"WM_POD": pod, "WM_NODE": "n1", "ACTING_KIND": made.kind}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


def ended(root: Path, code: int, prefix: str = PREFIX) -> None:
    outcome = Outcome(code=code, started=1, ended=2)
    open_store(str(root)).put(f"{prefix}/outcome.json", outcome.model_dump_json().encode())


def test_the_first_process_runs_the_attempt(tmp_path: Path) -> None:
    assert play(tmp_path, spec(), "pod-a", "--once").returncode == 0
    claimed = json.loads((tmp_path / PREFIX / "claim.json").read_text())
    assert (claimed["pod"], claimed["node"]) == ("pod-a", "n1")


@pytest.mark.parametrize("code", [0, 65, 143])
def test_an_attempt_that_has_ended_ends_again_with_its_code(tmp_path: Path, code: int) -> None:
    assert claim(open_store(str(tmp_path)), spec(), 0) is None
    ended(tmp_path, code)
    done = play(tmp_path, spec(), "pod-a", "--once")
    assert done.returncode == code
    assert f"attempt 2 has ended before, with code {code}" in done.stdout
    assert not (tmp_path / PREFIX / "product.txt").exists()


def test_an_attempt_that_was_begun_and_not_ended_is_refused(tmp_path: Path) -> None:
    assert play(tmp_path, spec(act="die"), "pod-a", "--once").returncode == -9
    done = play(tmp_path, spec(), "pod-a", "--once")
    assert done.returncode == 137
    assert "attempt 2 was begun by pod-a before and ended without an outcome" in done.stdout
    assert "the next attempt goes on from its state" in done.stdout
    assert not (tmp_path / PREFIX / "outcome.json").exists(), "it is not ours to write"


def test_without_once_an_attempt_can_be_run_again_by_hand(tmp_path: Path) -> None:
    assert play(tmp_path, spec(act="die"), "pod-a", "--once").returncode == -9
    assert play(tmp_path, spec(), "pod-a").returncode == 0


@pytest.mark.parametrize("code", [None, 137, 143])
def test_a_member_of_an_encode_job_may_be_started_again(tmp_path: Path, code: int | None) -> None:
    made = spec("encode")
    assert claim(open_store(str(tmp_path)), made, 0) is None
    if code is not None:
        ended(tmp_path, code)
    done = play(tmp_path, made, "pod-b", "--once")
    assert done.returncode == 0
    assert "attempt 2 goes on from what " in done.stdout
    assert json.loads((tmp_path / PREFIX / "claim.json").read_text())["pod"] == "pod-b"


@pytest.mark.parametrize("code", [0, 65])
def test_but_not_once_it_has_ended_for_good(tmp_path: Path, code: int) -> None:
    assert claim(open_store(str(tmp_path)), spec("encode"), 0) is None
    ended(tmp_path, code)
    assert play(tmp_path, spec("encode"), "pod-b", "--once").returncode == code
    assert not (tmp_path / PREFIX / "product.txt").exists()


def test_what_an_earlier_process_left_is_not_taken_for_the_end_of_this(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert claim(store, spec("encode"), 0) is None
    ended(tmp_path, 143)
    assert claim(store, spec("encode"), 0) is None
    assert store.head(f"{PREFIX}/outcome.json") is None


def test_members_claim_for_themselves(tmp_path: Path, expect_logs: list[str]) -> None:
    expect_logs.append("attempt 2 was begun by ")
    store = open_store(str(tmp_path))
    assert [claim(store, spec(), member) for member in (0, 1, 0, 1)] == [None, None, 137, 137]
    assert store.head(f"{PREFIX}/members/1/claim.json")


def test_of_many_one_begins(tmp_path: Path) -> None:
    open_store(str(tmp_path)).put(f"{PREFIX}/spec.json", spec().model_dump_json().encode())
    module, address = "tests.support.acting_stage", f"{tmp_path}/{PREFIX}/spec.json"
    command = [sys.executable, "-m", module, "--spec", address, "--once"]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"ACTING_KIND": "train"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert sum("at work in s" in lines for lines in said) == 1
