"""The train stage as real processes under torchrun."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.datasets import publish_dataset
from tests.support.disk import small_tmpfs
from tests.support.training import (
    chess_games,
    finish,
    outcome,
    publish_chess,
    settings,
    start,
    wait_for,
    write_spec,
)
from trainer.loop import train
from trainer.result import result_of
from trainer.setup import begin
from trainer.training import Training
from wm.artifacts.model import load_card
from wm.errors import Exit
from wm.models.build import weights_bytes
from wm.stage import StageSpec
from wm.store import Store, open_store

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

LONG: dict[str, Any] = {
    "steps": 240,
    "checkpoint_every": 20,
    "validate_every": 240,
    "log_every": 5,
    "ema": 0.9,
}
"""A training of a second or two, long enough to be disturbed."""


def test_two_processes_stop_together_and_go_on_to_the_same_bits(tmp_path: Path) -> None:
    calm, rough = open_store(str(tmp_path / "calm")), open_store(str(tmp_path / "rough"))
    config = settings(publish_chess(calm), processes=2, **LONG)
    publish_chess(rough)
    whole = write_spec(calm, config)
    code, log = finish(start(tmp_path / "calm", whole))
    assert code == Exit.OK, log
    assert "WARNING" not in log

    first = write_spec(rough, config)
    process = start(tmp_path / "rough", first)
    wait_for(process, "step 50 of 240")
    process.terminate()
    code, log = finish(process)
    assert code == Exit.PREEMPTED, log
    assert "its state is saved" in outcome(tmp_path / "rough", first).message

    second = write_spec(rough, config, attempt=2)
    code, log = finish(start(tmp_path / "rough", second))
    assert code == Exit.OK, log
    assert "going on from runs/r/train/01/checkpoints/step-" in log
    assert model(rough, second) == model(calm, whole)


def test_killed_trainings_leave_no_orphan_and_end_with_the_same_bits(
    training: Callable[..., Training], store: Store, tmp_path: Path
) -> None:
    data = publish_chess(store)
    alone = training(data, **LONG)
    train(alone, begin(alone))
    for entry in list(store.list("runs/")):
        store.delete(entry.key)
    root, config = tmp_path / "store", settings(data, **LONG)

    first = write_spec(store, config)
    process = start(root, first)
    wait_for(process, "step 45 of 240")
    process.kill()
    until(lambda: not workers(first, root), "workers outlive their parent")
    assert finish(process)[0] == -signal.SIGKILL

    second = write_spec(store, config, attempt=2)
    process = start(root, second)
    wait_for(process, "step 85 of 240")
    os.kill(workers(second, root)[-1], signal.SIGKILL)
    code, log = finish(process)
    assert code == Exit.KILLED, log
    assert "ended by signal 9" in outcome(root, second).message

    third = write_spec(store, config, attempt=3)
    code, log = finish(start(root, third))
    assert code == Exit.OK, log
    assert "going on from runs/r/train/0" in log
    key = model(store, third)
    assert store.get(f"{key}/weights.safetensors") == weights_bytes(alone.best)

    # This very training is done: another attempt finds it and starts none.
    fourth = write_spec(store, config, attempt=4)
    code, log = finish(start(root, fourth))
    assert (code, model(store, fourth)) == (Exit.OK, key)
    assert "training" not in log


def test_a_training_shortened_below_its_checkpoint_is_published_from_it(
    training: Callable[..., Training], store: Store, tmp_path: Path
) -> None:
    data = publish_chess(store)
    first = training(data, steps=8)
    train(first, begin(first))

    spec = write_spec(store, settings(data, steps=5), attempt=2)
    begun = time.monotonic()
    code, log = finish(start(tmp_path / "store", spec))
    took = time.monotonic() - begun

    assert code == Exit.OK, log
    card = load_card(store, model(store, spec))
    assert (card.step, card.training["steps"], card.units) == (8, 5, 6)
    assert store.get(card.weights.key) == weights_bytes(first.best)
    published = store.get(f"{spec.prefix}/metrics.jsonl").decode().splitlines()
    lines = [(line["event"], line["step"]) for line in map(json.loads, published)]
    assert lines == [("resume", 8), ("validate", 8), ("end", 8)]
    assert 0.5 < card.timing["startup_s"] < took
    assert card.timing["validate_s"] > 0
    assert (card.timing["step_s"], card.timing["save_s"]) == (0, 0)
    assert outcome(tmp_path / "store", spec).result == result_of(card)


def test_the_result_has_what_plans_and_gates_read(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings(publish_chess(store)))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.OK, log
    result = outcome(tmp_path / "store", spec).result
    assert result["data"] == "datasets/chess/f00d"
    assert result["cache"] == {"train": "hit", "val": "hit"}
    assert result["units"] == 6
    assert all(
        result["timing"][f"{part}_s"] > 0 for part in ("startup", "step", "validate", "save")
    )


def test_a_loss_that_is_not_finite_is_65(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings(publish_chess(store), lr=1e20, clip=0))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.BAD_DATA, log
    assert "step 2, in a batch with games" in outcome(tmp_path / "store", spec).message
    assert "Traceback" not in log


def test_a_first_step_that_does_not_come_is_160_whatever_later_ones_may_take(
    store: Store, tmp_path: Path
) -> None:
    spec = write_spec(store, settings(publish_chess(store), first_step_s=0.2))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.HANG, log
    assert "the attempt's first step was not finished within 0.2 s" in log
    assert "raise first_step_s" in log
    until(lambda: not workers(spec, tmp_path / "store"), "what hung is still there")


def test_a_training_that_stands_still_is_160_and_ended(store: Store, tmp_path: Path) -> None:
    """The start takes longer than ``stall_s``, which does not count for it."""
    config = settings(publish_chess(store), **LONG | {"steps": 10**6, "stall_s": 2.0})
    spec = write_spec(store, config)
    process = start(tmp_path / "store", spec)
    wait_for(process, "step 45 of")
    until(lambda: b'"done":0' not in store.get(f"{spec.prefix}/heartbeat.json"), "no progress")
    os.kill(workers(spec, tmp_path / "store")[-1], signal.SIGSTOP)

    code, log = finish(process)

    assert code == Exit.HANG, log
    assert "no step was finished for 2 s after step" in log
    assert "raise stall_s" in log
    until(lambda: not workers(spec, tmp_path / "store"), "what hung is still there")


@pytest.mark.parametrize(
    ("stuck", "message"),
    [(-1, "without the time to save its state"), (0, "torchrun did not end in time")],
    ids=["worker", "torchrun"],
)
def test_what_does_not_end_in_time_is_killed_before_the_platform_kills_all(
    store: Store, tmp_path: Path, stuck: int, message: str
) -> None:
    grace, root = 20, tmp_path / "store"
    spec = write_spec(store, settings(publish_chess(store), **LONG | {"steps": 10**6}))
    process = start(root, spec, WM_GRACE=str(grace))
    wait_for(process, "step 45 of")
    until(lambda: b'"done":0' not in store.get(f"{spec.prefix}/heartbeat.json"), "no progress")
    os.kill(workers(spec, root)[stuck], signal.SIGSTOP)
    process.terminate()
    begun = time.monotonic()

    code, log = finish(process)

    assert code == Exit.PREEMPTED, log
    assert time.monotonic() - begun < grace
    assert message in outcome(root, spec).message
    until(lambda: not workers(spec, root), "what did not end is still there")


def test_a_bug_is_70_with_its_traceback(store: Store, tmp_path: Path) -> None:
    games = chess_games(4)
    for game in games:
        game.facts = {"loser": 1}
    data = publish_dataset(store, "chess", {"train": [games], "val": [games]})
    spec = write_spec(store, settings(data))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.BUG
    assert log.count("Traceback") == 1
    assert outcome(tmp_path / "store", spec).message == "KeyError: 'winner'"


def test_settings_that_are_wrong_start_nothing(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings("datasets/chess/f00d", batch=30))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.BAD_CONFIG
    assert "batch 30 is not a multiple of groups 4" in log


def test_a_gpu_that_is_not_there_is_64(store: Store, tmp_path: Path) -> None:
    config = settings(publish_chess(store), device="cuda", processes=2)
    spec = write_spec(store, config)
    code, log = finish(start(tmp_path / "store", spec, CUDA_VISIBLE_DEVICES=""))
    assert code == Exit.BAD_CONFIG, log
    assert "device cuda is set, and there is no GPU here" in log
    assert "Traceback" not in log


def test_a_data_set_that_is_not_there_starts_nothing(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings("datasets/no/thing"))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.INPUT_MISSING
    assert "there is no data set at datasets/no/thing" in log


def test_a_full_disk_is_69(small_disk: Path) -> None:
    store = open_store(str(small_disk))
    large = {"kind": "lstm", "embed": 16, "hidden": 32, "layers": 1}
    spec = write_spec(store, settings(publish_chess(store), model=large))

    code, log = finish(start(small_disk, spec))

    assert code == Exit.STORE_UNREACHABLE, log
    assert "free space on that disk" in log
    assert not list(store.list("models/"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, less than one checkpoint needs."""
    with small_tmpfs(tmp_path / "disk", "1m") as folder:
        yield folder


def workers(spec: StageSpec, root: Path) -> list[int]:
    """torchrun and the training processes of an attempt, in order of their start."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if f"{root}/{spec.prefix}/spec.json".encode() in words and b"trainer.worker" in words:
            found.append(int(path.parent.name))
    return sorted(found)


def until(true: Callable[[], bool], otherwise: str) -> None:
    """Wait a few seconds for something."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def model(store: Store, spec: StageSpec) -> str:
    """Key of the model that an attempt ended with."""
    return str(outcome(Path(store.url), spec).result["model"])
