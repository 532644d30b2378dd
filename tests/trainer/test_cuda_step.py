"""A training step on a GPU, as far as one need not be there: all that it works with lies on the
device, and nothing in it makes the host wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException

from tests.support.pretended import GPU, pretended_gpu
from tests.support.training import LSTM, MLP, settings, write_spec
from trainer.config import TrainConfig
from trainer.preempt import Stopping
from trainer.reports import ProgressFile
from trainer.setup import assemble
from trainer.step import make_update
from trainer.team import Team
from trainer.training import Training
from wm.artifacts.dataset import open_dataset
from wm.store import Store

MAMBA2 = {"kind": "mamba2", "context": 3, "d_model": 16, "layers": 1, "d_state": 8, "headdim": 8}

CHESS: list[dict[str, Any]] = [
    {"model": LSTM, "winner_mask": 0.5},
    {
        "model": LSTM | {"factored": True, "board_head": True},
        "board_weight": 1.0,
        "labels": "winner",
        "winner_weight": 2.0,
        "phase_weights": (1, 2, 3, 4),
    },
]
MELEE: list[dict[str, Any]] = [
    {"model": MAMBA2},
    {"model": MAMBA2 | {"chunk": 8}},
    {"model": MAMBA2, "mode": "window"},
    {"model": MAMBA2, "loss": "prototype"},
    {"model": MLP, "mirror": True, "swap_players": True, "rare_actions": 0.5, "parts": 2},
    {"model": MLP, "ema": 0.9, "precision": "bf16"},
]


def begin(store: Store, folder: Path, data: str, **changes: Any) -> Training:
    config = TrainConfig.model_validate(settings(data, device="cuda", **changes))
    spec = write_spec(store, config.model_dump(mode="json"))
    data_set = open_dataset(store, data, folder / "cache")
    progress = ProgressFile(folder, config.steps)
    return assemble(store, spec, config, Team(0, 1, GPU), data_set, Stopping(), progress)


@pytest.fixture(params=["resident", "mapped"])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the data set fits the device."""
    monkeypatch.setattr("trainer.rows._fits", lambda parts, device: request.param == "resident")


def step(
    monkeypatch: pytest.MonkeyPatch, store: Store, folder: Path, data: str, **changes: Any
) -> None:
    with pretended_gpu(monkeypatch) as gpu:
        t = begin(store, folder, data, **changes)
        t.model.train()
        batch = t.task.batch(0)
        make_update(t, 0, batch)  # tables that stay there may be copied once
        copies = gpu.copies
        assert copies
        figures = make_update(t, 1, batch)
        assert gpu.copies == copies, "the host waits for each copy, and no CUDA graph holds one"
        assert (figures.device, figures.shape) == (GPU, (4,))
        with pytest.raises(DataDependentOutputException):
            figures.tolist()


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("changes", CHESS)
def test_a_step_of_chess_stays_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
    tmp_path: Path,
    chess_data: str,
    changes: dict[str, Any],
) -> None:
    step(monkeypatch, store, tmp_path, chess_data, **changes)


@pytest.mark.usefixtures("rows")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # deepcopy does
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")  # autocast looks for it
@pytest.mark.parametrize("changes", MELEE)
def test_a_step_of_melee_stays_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
    store: Store,
    tmp_path: Path,
    melee_data: str,
    changes: dict[str, Any],
) -> None:
    step(monkeypatch, store, tmp_path, melee_data, **changes)


def test_a_tensor_left_on_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pretended_gpu(monkeypatch),
        pytest.raises(RuntimeError, match="cuda:0 and cpu"),
    ):
        torch.ones(3, device=GPU) + torch.ones(3)
