"""Figures of metrics.jsonl as TensorBoard reads them, and weights that do not depend on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.training import (
    finish,
    lines,
    outcome,
    publish_chess,
    settings,
    start,
    stop_at,
    write_spec,
)
from tests.support.writers import FakeWandB, read_events, stopped_and_resumed, told, walk
from trainer.training import Training
from trainer.writers.writers import figures_of
from wm.artifacts.model import load_card
from wm.errors import Exit, Preempted
from wm.models.build import weights_bytes
from wm.store import Store

Begin = Callable[..., Training]


def test_a_line_gives_its_numbers_under_the_names_of_what_happened() -> None:
    line = {
        **{"time": 1.5, "step": 6, "event": "validate", "seconds": 2, "checkpoint": "runs/r"},
        **{"metrics": {"top1": 0.25, "loss": float("inf")}, "games": [1, 2]},
    }
    assert figures_of(line) == {
        "validate/top1": 0.25,
        "validate/loss": float("inf"),
        "validate/seconds": 2.0,
    }


def test_lines_of_the_training_tell_what_it_uses(
    training: Begin, chess_data: str, store: Store, tmp_path: Path
) -> None:
    t = training(chess_data)
    walk(t, tmp_path)

    assert all(
        0 < line["memory_anon_gb"] < line["memory_gb"] <= line["memory_peak_gb"]
        for line in lines(t)
        if line["event"] == "train"
    )
    assert not any("memory_gb" in line for line in lines(t) if line["event"] != "train")
    assert t.log.peaks()["memory_peak_gb"] >= lines(t)[-2].get("memory_peak_gb", 0)
    assert [e.key for e in store.list("runs/r/train/01/") if "checkpoints" not in e.key] == [
        "runs/r/train/01/metrics.jsonl",
        "runs/r/train/01/spec.json",
    ], "no writer that nobody named"


def test_tensorboard_reads_the_figures_of_metrics_jsonl(
    training: Begin, chess_data: str, store: Store, tmp_path: Path
) -> None:
    t = training(chess_data, writers=("tensorboard",))
    walk(t, tmp_path)

    read, written = read_events(store, "runs/r/train/01"), told(t)
    assert read.keys() == written.keys()
    assert read == pytest.approx(written, rel=1e-6, nan_ok=True)
    names = {name for name, _ in read}
    assert {"train/loss", "train/lr", "train/memory_gb", "validate/top1"} <= names


def test_a_resumed_attempt_writes_a_file_of_its_own(
    training: Begin, chess_data: str, store: Store, tmp_path: Path
) -> None:
    first, second = stopped_and_resumed(training, chess_data, tmp_path, "tensorboard")

    for attempt, t in (("01", first), ("02", second)):
        read = read_events(store, f"runs/r/train/{attempt}")
        assert read == pytest.approx(told(t), rel=1e-6)
    steps = [[step for name, step in told(t) if name == "train/loss"] for t in (first, second)]
    assert steps == [[2, 4, 6], [8, 10, 12]]


def test_what_a_stopped_attempt_said_last_is_published(
    training: Begin, chess_data: str, store: Store, tmp_path: Path
) -> None:
    t = training(chess_data)
    stop_at(t, 5)
    with pytest.raises(Preempted):
        walk(t, tmp_path)

    published = store.get("runs/r/train/01/metrics.jsonl").decode().splitlines()
    assert [(e["event"], e["step"]) for e in map(json.loads, published)][-2:] == [
        ("train", 5),
        ("checkpoint", 5),
    ]


def test_weights_do_not_depend_on_writers(
    training: Begin, chess_data: str, tmp_path: Path, wandb: FakeWandB
) -> None:
    without, with_all = (
        training(chess_data, attempt=1, checkpoint_every=99),
        training(
            chess_data,
            attempt=2,
            checkpoint_every=99,
            stage="other",
            writers=("tensorboard", "wandb"),
        ),
    )
    walk(without, tmp_path / "1")
    walk(with_all, tmp_path / "2")

    assert weights_bytes(with_all.best) == weights_bytes(without.best)
    assert wandb.logged


def test_the_stage_publishes_events_and_peaks(store: Store, tmp_path: Path) -> None:
    spec = write_spec(store, settings(publish_chess(store), writers=["tensorboard"]))

    code, log = finish(start(tmp_path / "store", spec))

    assert code == Exit.OK, log
    assert " WARNING " not in log
    published = store.get(f"{spec.prefix}/metrics.jsonl").decode().splitlines()
    written = {
        (name, line["step"]): value
        for line in map(json.loads, published)
        for name, value in figures_of(line).items()
    }
    assert read_events(store, spec.prefix) == pytest.approx(written, rel=1e-6)
    result = outcome(tmp_path / "store", spec).result
    peaks = load_card(store, result["model"]).peaks
    assert result["peaks"] == peaks
    assert 0.05 < peaks["memory_peak_gb"] < 5
