"""TensorBoard and W&B beside the training, in good and in bad days."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.support.training import finish, outcome, publish_chess, settings, start, write_spec
from trainer.loop import Training, train
from trainer.setup import begin
from trainer.usage import Usage
from trainer.writers import aside, make_writers, writers
from trainer.writers.wandb import FOLDERS, run_id
from trainer.writers.writers import figures_of
from wm.artifacts.model import load_card
from wm.errors import Exit, Preempted
from wm.models.build import weights_bytes
from wm.stage import StageSpec
from wm.store import Store, open_store

Begin = Callable[..., Training]


def walk(t: Training, scratch: Path) -> None:
    """Train from where it stands, as the stage does."""
    made = make_writers(t.checkpoints.store, t.checkpoints.spec, t.config, "chess", scratch)
    with t.log.alongside(Usage(torch.device("cpu")), made):
        train(t, begin(t))
        t.log.write("end", t.config.steps)
        t.log.publish()


def lines(t: Training) -> list[dict[str, Any]]:
    return [json.loads(line) for line in t.log._lines]


def told(t: Training) -> dict[tuple[str, int], float]:
    """Every figure of ``metrics.jsonl`` by its name and step."""
    return {
        (name, line["step"]): value for line in lines(t) for name, value in figures_of(line).items()
    }


def read_events(store: Store, prefix: str) -> dict[tuple[str, int], float]:
    """Every scalar of an attempt's event files, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [entry] = store.list(f"{prefix}/tensorboard/")
    path = store.path(entry.key)
    assert path is not None
    read = EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
    return {
        (tag, scalar.step): scalar.value
        for tag in read.Tags()["scalars"]
        for scalar in read.Scalars(tag)
    }


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
    first = training(chess_data, writers=("tensorboard",))
    stop_at(first, 6)
    with pytest.raises(Preempted):
        walk(first, tmp_path / "1")
    second = training(chess_data, attempt=2, writers=("tensorboard",))
    walk(second, tmp_path / "2")

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
    training: Begin, chess_data: str, tmp_path: Path, wandb: "FakeWandB"
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


class FakeWandB(ModuleType):
    """The package as far as it is used; ``trouble`` is called with the name of every call."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.begun: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.finished: list[int] = []
        self.trouble: Callable[[str], None] = lambda call: None

    def Settings(self, **settings: Any) -> dict[str, Any]:  # noqa: N802  its name there
        return settings

    def init(self, **arguments: Any) -> "FakeWandB":
        self.trouble("init")
        self.begun.append(arguments)
        folder = Path(arguments["dir"]) / "wandb" / f"{arguments['mode']}-run"
        folder.mkdir(parents=True)
        self.file = folder / "run-x.wandb"
        self.file.write_bytes(b"records")
        (folder / "debug.log").write_bytes(b"said")
        return self

    def log(self, figures: dict[str, float], step: int) -> None:
        self.trouble("log")
        self.logged.append((step, figures))

    def finish(self, exit_code: int) -> None:
        self.trouble("finish")
        self.finished.append(exit_code)

    def teardown(self) -> None:
        self.file.write_bytes(b"records, all of them")


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeWandB:
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name in FOLDERS:  # and as they were, afterwards
        monkeypatch.setenv(name, str(tmp_path))
    return fake


def test_wandb_gets_the_figures_of_metrics_jsonl_under_one_run(
    training: Begin, chess_data: str, store: Store, tmp_path: Path, wandb: FakeWandB
) -> None:
    first = training(chess_data, writers=("wandb",))
    stop_at(first, 6)
    with pytest.raises(Preempted):
        walk(first, tmp_path / "1")
    second = training(chess_data, attempt=2, writers=("wandb",))
    walk(second, tmp_path / "2")

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


def raising(call: str | None, error: BaseException) -> Callable[..., Any]:
    def trouble(name: str, *_: Any, **__: Any) -> None:
        if call in (None, name):
            raise error

    return trouble


def void(_: object) -> None:
    """For its effect alone."""


def stop_at(t: Training, done: int) -> None:
    """As SIGTERM would in the middle of the update that makes it ``done``."""
    batch = t.task.batch

    def asking(step: int) -> Any:
        t.stopping.asked = step + 1 == done
        return batch(step)

    t.task.batch = asking  # type: ignore[method-assign]
