"""Writers in bad days: the training must not notice."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.training import lines
from tests.support.writers import FakeWandB, raising, read_events, told, void, walk
from trainer.loop import train
from trainer.setup import begin
from trainer.training import Training
from trainer.usage import Usage
from trainer.writers import aside, make_writers, writers
from wm.store import Store, open_store

Begin = Callable[..., Training]


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_a_writer_that_fails_is_switched_off_with_one_warning(
    training: Begin,
    chess_data: str,
    store: Store,
    tmp_path: Path,
    wandb: FakeWandB,
    expect_logs: list[str],
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    expect_logs.append("writer wandb is switched off")
    wandb.trouble = raising(call, RuntimeError("no\nnetwork"))
    t = training(chess_data, writers=("wandb", "tensorboard"))
    walk(t, tmp_path)

    [warning] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "(RuntimeError: no network)" in warning
    assert warning.endswith("without wandb in writers it is not tried")
    assert lines(t)[-1]["event"] == "end"
    assert len(read_events(store, "runs/r/train/01")) == len(told(t)), "the other is none the worse"


def test_a_writer_that_leaves_the_program_does_not_end_the_training(
    training: Begin, chess_data: str, tmp_path: Path, wandb: FakeWandB, expect_logs: list[str]
) -> None:
    expect_logs.append("writer wandb is switched off (SystemExit: 1)")
    wandb.trouble = raising("init", SystemExit(1))
    t = training(chess_data, writers=("wandb",))
    walk(t, tmp_path)

    assert lines(t)[-1]["event"] == "end"


@pytest.mark.parametrize("call", ["init", "log", "finish"])
@pytest.mark.usefixtures("impatient")
def test_a_writer_that_hangs_holds_up_nothing(
    training: Begin,
    chess_data: str,
    store: Store,
    tmp_path: Path,
    wandb: FakeWandB,
    never: threading.Event,
    expect_logs: list[str],
    call: str,
) -> None:
    expect_logs.append(
        "writer wandb is switched off (it was not done with the last figures in time)"
    )
    wandb.trouble = lambda name: void(never.wait() if name == call else None)
    t = training(chess_data, writers=("wandb", "tensorboard"))
    walk(t, tmp_path)

    assert lines(t)[-1]["event"] == "end"
    assert len(read_events(store, "runs/r/train/01")) == len(told(t))


@pytest.mark.usefixtures("impatient")
def test_a_writer_that_hangs_for_long_does_not_fill_the_memory(
    training: Begin,
    chess_data: str,
    tmp_path: Path,
    wandb: FakeWandB,
    never: threading.Event,
    expect_logs: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expect_logs.append("writer wandb is switched off (it is stuck, with 3 lines waiting)")
    monkeypatch.setattr(aside, "BACKLOG", 3)
    wandb.trouble = lambda name: void(never.wait())
    t = training(chess_data, writers=("wandb",))
    walk(t, tmp_path)

    assert lines(t)[-1]["event"] == "end"


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_package_that_is_missing_is_one_warning(
    training: Begin,
    chess_data: str,
    store: Store,
    tmp_path: Path,
    expect_logs: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    expect_logs.append(f"writer {name} is switched off")
    for loaded in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    walk(training(chess_data, writers=(name,)), tmp_path)

    [warning] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.endswith(f"install it with: pip install {name}")


def test_a_full_disk_ends_only_the_writer(
    training: Begin,
    chess_data: str,
    store: Store,
    tmp_path: Path,
    expect_logs: list[str],
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    expect_logs.append("writer tensorboard is switched off (OSError: [Errno 28] No space left")
    t = training(chess_data, writers=("tensorboard",))
    made = make_writers(store, t.checkpoints.spec, t.config, "chess", tmp_path)
    [only] = made._asides
    real = only._make

    def on_full_disk(folder: Path) -> Any:
        writer: Any = real(folder)
        writer._file = Path("/dev/full")
        return writer

    only._make = on_full_disk
    with t.log.alongside(Usage(torch.device("cpu")), made):
        train(t, begin(t))

    assert [line["step"] for line in lines(t) if line["event"] == "validate"] == [6, 12]


def test_a_store_that_takes_no_events_ends_only_the_writer(
    training: Begin,
    chess_data: str,
    store: Store,
    tmp_path: Path,
    expect_logs: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expect_logs.append("writer tensorboard is switched off (OSError: quota)")
    t = training(chess_data, writers=("tensorboard",))
    other = open_store(store.url)
    monkeypatch.setattr(other, "put", raising(None, OSError("quota")))
    made = make_writers(other, t.checkpoints.spec, t.config, "chess", tmp_path)
    with t.log.alongside(Usage(torch.device("cpu")), made):
        train(t, begin(t))
        t.log.publish()

    assert store.head("runs/r/train/01/metrics.jsonl") is not None


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "PATIENCE", 1.0)


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What a hanging call waits for, until the test is over."""
    event = threading.Event()
    yield event
    event.set()
