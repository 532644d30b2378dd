"""What W&B is told, and what it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.writers import FakeWandB, raising, stopped_and_resumed, told, walk
from trainer.training import Training
from trainer.writers.wandb import run_id
from wm.stage import StageSpec
from wm.store import Store

Begin = Callable[..., Training]


def test_wandb_gets_the_figures_of_metrics_jsonl_under_one_run(
    training: Begin, chess_data: str, store: Store, tmp_path: Path, wandb: FakeWandB
) -> None:
    first, second = stopped_and_resumed(training, chess_data, tmp_path, "wandb")

    got = {(name, step): v for step, figures in wandb.logged for name, v in figures.items()}
    assert got == told(first) | told(second)
    assert [(b["project"], b["id"]) for b in wandb.begun] == [("chess", "r-train")] * 2
    assert wandb.finished == [1, 0], "the first was stopped"
    assert wandb.begun[0]["config"]["lr"] == 0.001


def test_without_a_key_wandb_is_offline_and_its_file_is_published(
    training: Begin, chess_data: str, store: Store, tmp_path: Path, wandb: FakeWandB
) -> None:
    walk(training(chess_data, writers=("wandb",)), tmp_path)

    assert wandb.begun[0]["mode"] == "offline"
    assert [entry.key for entry in store.list("runs/r/train/01/wandb/")] == [
        "runs/r/train/01/wandb/offline-run/run-x.wandb"
    ]
    data = store.get("runs/r/train/01/wandb/offline-run/run-x.wandb")
    assert data == b"records, all of them"


def test_with_a_key_wandb_is_online_and_the_key_stays_in_the_environment(
    training: Begin,
    chess_data: str,
    store: Store,
    tmp_path: Path,
    wandb: FakeWandB,
    monkeypatch: pytest.MonkeyPatch,
    expect_logs: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-key")
    expect_logs.append("writer wandb is switched off (OSError: 401 for …;")
    wandb.trouble = raising("finish", OSError("401 for s3cr3t-key; refused"))
    walk(training(chess_data, writers=("wandb",)), tmp_path)

    assert (wandb.begun[0]["mode"], wandb.begun[0]["resume"]) == ("online", "allow")
    assert "s3cr3t-key" not in repr(wandb.begun) + caplog.text
    assert not any(b"s3cr3t-key" in store.get(entry.key) for entry in store.list("runs/"))


def test_ids_have_only_letters_that_wandb_takes() -> None:
    spec = StageSpec(run="night 1/2", stage="train#a", attempt=1, kind="train", config={})
    assert run_id(spec) == "night-1-2-train-a"
