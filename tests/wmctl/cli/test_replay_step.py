"""``wmctl replay-step``: which attempt made the step, and the process that makes it again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import wmctl
from tests.support.runs import small_run
from tests.support.training import finish, publish_chess, settings, start
from wm.stage import StageSpec
from wm.store import Store, open_store
from wmctl.run.steps import attempt_of

STEPS = 12


def write(store: Store, stage: str = "train-winner", attempt: int = 1, **changes: Any) -> StageSpec:
    """The spec of an attempt of the run ``r``."""
    config = settings("datasets/chess/f00d", steps=STEPS, log_every=1, **changes)
    spec = StageSpec(run="r", stage=stage, attempt=attempt, kind="train", config=config)
    store.put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    return spec


def tell(store: Store, spec: StageSpec, begun: int, *steps: int, done: int = 0) -> None:
    """Its metrics.jsonl, and a heartbeat after ``done`` updates."""
    lines: list[dict[str, Any]] = [{"event": "resume" if begun else "start", "step": begun}]
    lines += [
        {"event": "train", "step": s, "loss": float(s), "grad_norm": s / 2, "lr": 0.1}
        for s in steps
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    store.put(f"{spec.prefix}/metrics.jsonl", text.encode())
    beat = json.dumps({"time": 0.0, "done": done, "total": STEPS})
    store.put(f"{spec.prefix}/heartbeat.json", beat.encode())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    store.put("runs/r/spec.json", small_run().model_dump_json().encode())
    return store


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run whose ``train/winner`` has ended, as its own processes left it."""
    root = tmp_path_factory.mktemp("replay") / "store"
    store = open_store(str(root))
    store.put("runs/r/spec.json", small_run().model_dump_json().encode())
    publish_chess(store)
    code, log = finish(start(root, write(store)))
    assert code == 0, log
    return root


@pytest.mark.timeout(120)
def test_figures_of_the_step_and_its_games_equal_to_the_bit_and_nothing_written(
    trained: Path,
) -> None:
    before = contents(trained)
    text = (trained / "runs/r/train-winner/01/metrics.jsonl").read_text()
    lines = map(json.loads, text.splitlines())
    (line,) = [each for each in lines if (each["event"], each["step"]) == ("train", 11)]

    answer = wmctl(trained, "replay-step", "r", "train/winner", "11", "--json")

    assert answer.code == 0, answer.err
    found = answer.json
    assert (found["loss"], found["grad_norm"]) == (line["loss"], line["grad_norm"])
    assert found["recorded"] == {n: line[n] for n in ("loss", "grad_norm", "lr")}
    assert found["checkpoint"] == "runs/r/train-winner/01/checkpoints/step-000008"
    assert (found["stage"], found["attempt"], found["replayed"]) == ("train-winner", 1, 2)
    assert found["trained"] == {"world": 1, "device": "cpu"}
    assert len(found["games"]) == 8
    assert contents(trained) == before


@pytest.mark.timeout(120)
def test_a_table_for_people(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answer = wmctl(trained, "replay-step", "r", "train/winner", "2")

    assert answer.code == 0, answer.err
    head, _, *figures = answer.out.splitlines()
    assert head == (
        "step 2 of train/winner, attempt 1 of r: from the initial weights, 1 update before it, "
        "on cpu"
    )
    assert [line.split()[0] for line in figures[:5]] == [
        "loss",
        "gradient",
        "learning",
        "targets",
        "all",
    ]
    assert all("as recorded" in line for line in figures[:3])
    assert figures[4].split() == ["all", "finite", "yes"]
    titles, *games = figures[6:-1]
    assert titles.split() == ["game", "loss", "targets"]
    losses = [float(game.split()[1]) for game in games]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 8
    assert "no checkpoint before step 2 is left" in capfd.readouterr().err


@pytest.mark.timeout(120)
def test_a_data_set_that_is_gone_is_an_error_with_the_way_out(store: Store) -> None:
    tell(store, write(store), 0, 1, 2)

    answer = wmctl(store.url, "replay-step", "r", "train/winner", "2")

    assert answer.code == 66
    assert answer.err.startswith(
        "error: step 2 cannot be made again: there is no data set at datasets/chess/f00d\n"
        "hint: encode it again"
    )


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (["x", "train/winner", "1"], 66, "there is no run 'x'", "wmctl runs"),
        (["r", "trian/winner", "1"], 66, "(did you mean 'train/winner'?)", "train/winner"),
        (["r", "enc", "1"], 64, "enc is no training (encode)", "its trainings: train/winner"),
        (["r", "train", "1"], 64, "train means 2 trainings", "one of train/winner, train/loser"),
        (["r", "train/loser", "1"], 66, "train/loser of r has not been started", "status r"),
        (["r", "train/winner", "1", "--attempt", "3"], 66, "no attempt 3", "there are: 1, 2"),
        (["r", "train/winner", "9"], 66, "has made 6 steps, so there is no step 9", "status r"),
        (
            ["r", "train/winner", "2", "--attempt", "2"],
            66,
            "attempt 2 of train/winner went on from step 4",
            "leave out --attempt",
        ),
        (
            ["r", "train/winner", "6", "--attempt", "1"],
            66,
            "attempt 1 of train/winner has made 4 steps",
            "status r",
        ),
        (["r", "train/winner", "0"], 64, "0 is not in the range", "replay-step --help"),
    ],
)
def test_what_cannot_be_replayed_is_said_before_anything_is_started(
    store: Store, words: list[str], code: int, error: str, hint: str
) -> None:
    tell(store, write(store), 0, 1, 2, 3, 4)
    tell(store, write(store, attempt=2), 4, 5, 6)

    answer = wmctl(store.url, "replay-step", *words)

    assert answer.code == code
    said, advice = answer.err.splitlines()
    assert error in said
    assert hint in advice


def test_torch_that_is_not_here_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(store, write(store), 0, 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    answer = wmctl(store.url, "replay-step", "r", "train/winner", "1")

    assert answer.code == 66
    assert "torch is not installed here" in answer.err


def test_a_replay_that_breaks_off_says_where_its_words_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(store, write(store), 0, 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")

    answer = wmctl(store.url, "replay-step", "r", "train/winner", "1")

    assert answer.err.startswith("error: the replay of step 1 broke off: ")
    assert "by hand: -m trainer.replay --spec" in answer.err


def test_the_newest_attempt_that_made_the_step_is_taken(store: Store) -> None:
    for attempt, (begun, steps) in enumerate([(0, range(1, 7)), (4, range(5, 9))], 1):
        tell(store, write(store, attempt=attempt), begun, *steps)
    tell(store, write(store, attempt=3), 8)  # killed before its first step
    write(store, attempt=4)  # has just begun

    node = small_run().node("train-winner")
    found = {step: attempt_of(store, "r", node, step).spec.attempt for step in (1, 4, 5, 8)}

    assert found == {1: 1, 4: 1, 5: 2, 8: 2}


def test_the_step_that_ended_a_training_stands_in_no_line_and_can_be_replayed(
    store: Store,
) -> None:
    """Lines come every ``log_every`` steps; the heartbeat may know more."""
    node = small_run().node("train-winner")
    spec = write(store)
    tell(store, spec, 0, 2, 4, done=5)

    assert attempt_of(store, "r", node, 6).done == 5


def test_a_step_of_the_training_that_it_continues_is_sent_there(store: Store) -> None:
    tell(store, write(store, continues="train-loser"), 8, 9)

    answer = wmctl(store.url, "replay-step", "r", "train/winner", "3")

    assert answer.code == 66
    assert answer.err == (
        "error: train/winner went on from step 8 of train-loser\n"
        "hint: wmctl replay-step r train-loser 3\n"
    )


def test_a_mean_over_several_steps_is_not_compared_with_the_loss_of_one(store: Store) -> None:
    node = small_run().node("train-winner")
    tell(store, write(store), 0, 1, 2, 4)
    made = attempt_of(store, "r", node, 4)

    assert made.recorded(2) == {"loss": 2.0, "grad_norm": 1.0, "lr": 0.1}
    assert made.recorded(4) == {"grad_norm": 2.0, "lr": 0.1}
    assert made.recorded(3) == {}
    made.lines.append({"event": "spike", "step": 3, "loss": 9.0, "grad_norm": 7.0})
    assert made.recorded(3) == {"loss": 9.0, "grad_norm": 7.0}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder: its bytes and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
