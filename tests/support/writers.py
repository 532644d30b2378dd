"""A training with writers beside it, and what they wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.support.training import lines, stop_at
from trainer.loop import train
from trainer.setup import begin
from trainer.training import Training
from trainer.usage import Usage
from trainer.writers import make_writers
from trainer.writers.writers import figures_of
from wm.errors import Preempted
from wm.store import Store


def walk(t: Training, scratch: Path) -> None:
    """Train from where it stands, as the stage does."""
    made = make_writers(t.checkpoints.store, t.checkpoints.spec, t.config, "chess", scratch)
    with t.log.alongside(Usage(torch.device("cpu")), made):
        train(t, begin(t))
        t.log.write("end", t.config.steps)
        t.log.publish()


def stopped_and_resumed(
    training: Callable[..., Training], data: str, scratch: Path, writer: str
) -> tuple[Training, Training]:
    """A training with that writer, stopped in its sixth update, and the attempt that ended it."""
    first = training(data, writers=(writer,))
    stop_at(first, 6)
    with pytest.raises(Preempted):
        walk(first, scratch / "1")
    second = training(data, attempt=2, writers=(writer,))
    walk(second, scratch / "2")
    return first, second


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

    def init(self, **arguments: Any) -> FakeWandB:
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


def raising(call: str | None, error: BaseException) -> Callable[..., Any]:
    def trouble(name: str, *_: Any, **__: Any) -> None:
        if call in (None, name):
            raise error

    return trouble


def void(_: object) -> None:
    """For its effect alone."""
