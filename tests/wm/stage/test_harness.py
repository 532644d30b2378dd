"""The harness around every stage, with real processes: what they leave and how they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wm.stage import Heartbeat, Outcome, StageSpec
from wm.stage.chunks import read_log
from wm.store import open_store

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "runs/r/s/01"


def command(address: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.acting_stage", "--spec", address]


def write_spec(store: Path, act: str, **changes: Any) -> str:
    fields: dict[str, Any] = {"run": "r", "stage": "s", "attempt": 1, "kind": "encode"}
    spec = StageSpec(**fields | {"config": {"act": act}} | changes)
    open_store(str(store)).put(f"{PREFIX}/spec.json", spec.model_dump_json().encode())
    return f"{store}/{PREFIX}/spec.json"


def play(store: Path, act: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(write_spec(store, act)), cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def run(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(address), cwd=ROOT, capture_output=True, text=True, timeout=60)


def outcome(store: Path) -> Outcome:
    return Outcome.model_validate_json((store / PREFIX / "outcome.json").read_text())


def files(store: Path) -> list[Path]:
    return [path for path in (store / PREFIX).rglob("*") if path.is_file()]


def log(store: Path) -> str:
    return read_log(open_store(str(store)), PREFIX).decode()


def test_a_stage_that_ends_well_leaves_outcome_log_and_heartbeat(tmp_path: Path) -> None:
    before = time.time()
    done = play(tmp_path, "end well")
    assert done.returncode == 0, done.stderr
    left = outcome(tmp_path)
    assert (left.code, left.message, left.hint) == (0, "", "")
    assert before <= left.started <= left.ended <= time.time()
    assert 5 < left.peak_mb < 2000
    assert left.result["url"] == f"{tmp_path}/{PREFIX}/spec.json"
    assert not Path(left.result["scratch"]).exists(), "the scratch folder goes with the attempt"
    assert "INFO at work in s" in log(tmp_path)
    assert log(tmp_path) == done.stdout, "the store's log is what stdout showed"
    beat = Heartbeat.model_validate_json((tmp_path / PREFIX / "heartbeat.json").read_text())
    assert beat.time >= before
    assert (beat.done, beat.total, beat.facts) == (2, 3, {"loss": 0.5}), "the last word, too"
    assert (tmp_path / PREFIX / "product.txt").read_text() == "made"


def test_a_further_member_leaves_its_own_log_heartbeat_and_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WM_MEMBER", "2")
    assert play(tmp_path, "end well").returncode == 0
    left = {path.relative_to(tmp_path / PREFIX).parts[0] for path in files(tmp_path)}
    assert left == {"spec.json", "product.txt", "members"}, "member 0 speaks for the attempt"
    mine = tmp_path / PREFIX / "members" / "2"
    assert Outcome.model_validate_json((mine / "outcome.json").read_text()).result["member"] == 2
    assert b"at work in s" in read_log(open_store(str(tmp_path)), f"{PREFIX}/members/2")
    assert (mine / "heartbeat.json").exists()


def test_a_member_that_is_no_number_ends_in_64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WM_MEMBER", "first")
    done = play(tmp_path, "end well")
    assert done.returncode == 64
    assert "WM_MEMBER is 'first', which is no index of a member" in done.stdout


def test_an_error_for_people_becomes_code_sentence_and_hint(tmp_path: Path) -> None:
    done = play(tmp_path, "find bad data")
    assert done.returncode == 65
    left = outcome(tmp_path)
    assert left.code == 65
    assert left.message == "shard 3 of the data is damaged"
    assert left.hint == "encode it again"
    assert "ERROR error: shard 3 of the data is damaged" in log(tmp_path)
    assert "ERROR hint: encode it again" in log(tmp_path)
    assert "Traceback" not in log(tmp_path) + done.stderr


def test_any_other_exception_is_a_bug_with_its_traceback_in_the_log(tmp_path: Path) -> None:
    done = play(tmp_path, "crash")
    assert done.returncode == 70
    left = outcome(tmp_path)
    assert left.code == 70
    assert left.message.startswith("ZeroDivisionError: ")
    assert "the traceback is in the stage's log" in left.hint
    assert "Traceback (most recent call last)" in log(tmp_path)
    assert "1 // 0" in log(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_stage_save_and_end_as_preempted(
    tmp_path: Path, number: signal.Signals
) -> None:
    address = write_spec(tmp_path, "wait")
    process = subprocess.Popen(command(address), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline().endswith("waiting\n")
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 143
    left = outcome(tmp_path)
    assert (left.code, left.message) == (143, "stopped at step 7")


def test_the_heartbeat_is_there_while_the_stage_runs(tmp_path: Path) -> None:
    address = write_spec(tmp_path, "wait")
    process = subprocess.Popen(command(address), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        process.stdout.readline()
        path = tmp_path / PREFIX / "heartbeat.json"
        deadline = time.monotonic() + 20
        while True:
            if path.exists():
                beat = Heartbeat.model_validate_json(path.read_text())
                if beat.unit:
                    break
            assert time.monotonic() < deadline, "no heartbeat that says how far it is"
            time.sleep(0.05)
        assert (beat.done, beat.total, beat.unit) == (1, 0, "waits")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_what_is_written_below_python_and_by_children_is_in_the_log(tmp_path: Path) -> None:
    done = play(tmp_path, "write below python")
    assert done.returncode == 0
    expected = {"from the descriptor", "from the other descriptor", "from a child"}
    assert set(log(tmp_path).splitlines()) == expected
    assert set(done.stdout.splitlines()) == expected, "stderr too, in one stream"


def test_a_child_that_stays_behind_does_not_hold_up_the_stage(tmp_path: Path) -> None:
    address = write_spec(tmp_path, "leave a child")
    began = time.monotonic()
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run(command(address), cwd=ROOT, stdout=out, stderr=out, timeout=60)
    assert done.returncode == 0
    assert time.monotonic() - began < 18
    assert outcome(tmp_path).code == 0


def test_log_lines_of_threads_are_kept_with_time_and_level(tmp_path: Path) -> None:
    play(tmp_path, "say it from a thread")
    stamp, level, *words = log(tmp_path).split()
    assert time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")
    assert (level, words) == ("WARNING", ["from", "a", "thread"])


def test_an_address_that_is_no_spec_ends_in_64(tmp_path: Path) -> None:
    done = run(f"{tmp_path}/somewhere.json")
    assert done.returncode == 64
    assert "somewhere.json is not the address of a stage's spec" in done.stdout
    assert "hint: it should end in runs/RUN/STAGE/ATTEMPT/spec.json" in done.stdout


def test_a_spec_that_is_not_there_ends_in_66(tmp_path: Path) -> None:
    done = run(f"{tmp_path}/{PREFIX}/spec.json")
    assert done.returncode == 66
    assert "spec.json" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_spec_of_another_kind_of_stage_ends_in_64(tmp_path: Path) -> None:
    done = run(write_spec(tmp_path, "end well", kind="train"))
    assert done.returncode == 64
    assert "is the spec of a train stage, not of encode" in done.stdout


def test_a_spec_with_damaged_bytes_ends_in_64(tmp_path: Path) -> None:
    address = write_spec(tmp_path, "end well")
    Path(address).write_text('{"run": "r", "stage"')
    done = run(address)
    assert done.returncode == 64
    assert f"{PREFIX}/spec.json is not a stage's spec: Invalid JSON" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_store_that_cannot_be_written_ends_in_69_with_one_sentence(tmp_path: Path) -> None:
    """Root may write everywhere, so what cannot be made here is a file in the folder's place."""
    address = write_spec(tmp_path, "wait")
    process = subprocess.Popen(command(address), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    attempt = tmp_path / PREFIX
    attempt.rename(tmp_path / "moved")
    attempt.write_text("a file stands where the attempt's folder was")
    process.terminate()
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 69
    errors = [line for line in rest.splitlines() if " error: " in line]
    assert "error: stopped at step 7" in errors[0]
    assert f"cannot write {PREFIX}/outcome.json in the store {tmp_path}" in errors[1]
    assert len(errors) == 2
    assert "Traceback" not in rest


def test_help_lists_every_setting_with_its_default() -> None:
    words = [sys.executable, "-m", "tests.support.acting_stage", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "--spec" in done.stdout
    assert "act: What to do. (required)" in done.stdout
    assert "times: How often. (default 3)" in done.stdout


def test_without_a_spec_the_usage_is_shown() -> None:
    words = [sys.executable, "-m", "tests.support.acting_stage"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 64
    assert "error: the following arguments are required: --spec" in done.stderr


@pytest.mark.parametrize("kind", ["encoder", "trainer", "evaluator"])
def test_every_stage_can_be_asked_for_help(kind: str) -> None:
    words = [sys.executable, "-m", kind, "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "settings (the spec's config):" in done.stdout
    assert "seed" in done.stdout or "source" in done.stdout
