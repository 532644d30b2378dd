"""A training step on a GPU, as far as one need not be there: all that it works with lies on the
device, and nothing in it makes the host wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException

from tests.support.pretended import GPU, pretended_gpu
from tests.support.training import LSTM, MLP
from trainer.step import make_update
from trainer.team import Team
from trainer.training import Training

MAMBA2 = {"kind": "mamba2", "context": 3, "d_model": 16, "layers": 1, "d_state": 8, "headdim": 8}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("chess", {"model": LSTM, "winner_mask": 0.5}),
    (
        "chess",
        {
            "model": LSTM | {"factored": True, "board_head": True},
            "board_weight": 1.0,
            "labels": "winner",
            "winner_weight": 2.0,
            "phase_weights": (1, 2, 3, 4),
        },
    ),
    ("melee", {"model": MAMBA2}),
    ("melee", {"model": MAMBA2 | {"chunk": 8}}),
    ("melee", {"model": MAMBA2, "mode": "window"}),
    ("melee", {"model": MAMBA2, "loss": "prototype"}),
    (
        "melee",
        {"model": MLP, "mirror": True, "swap_players": True, "rare_actions": 0.5, "parts": 2},
    ),
    ("melee", {"model": MLP, "ema": 0.9, "precision": "bf16"}),
]


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # deepcopy does
@pytest.mark.filterwarnings("ignore:.*CUDA is not available")  # autocast looks for it
@pytest.mark.parametrize("fits", [True, False], ids=["resident", "mapped"])
@pytest.mark.parametrize(("game", "changes"), CASES)
def test_a_step_stays_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    training: Callable[..., Training],
    game: str,
    changes: dict[str, Any],
    fits: bool,
) -> None:
    data = request.getfixturevalue(f"{game}_data")
    monkeypatch.setattr("trainer.rows._fits", lambda parts, device: fits)
    with pretended_gpu(monkeypatch) as gpu:
        t = training(data, team=Team(0, 1, GPU), device="cuda", **changes)
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


def test_a_tensor_left_on_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pretended_gpu(monkeypatch),
        pytest.raises(RuntimeError, match="cuda:0 and cpu"),
    ):
        torch.ones(3, device=GPU) + torch.ones(3)
