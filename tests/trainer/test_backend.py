"""A Mamba-2's backend decides no more than how it rounds: who may change it, and when."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.training import settings
from tests.trainer.conftest import Begin
from trainer.config import TrainConfig
from trainer.loop import train
from trainer.setup import begin
from wm.errors import BadConfig

MAMBA = {"kind": "mamba2", "context": 4, "d_model": 16, "layers": 1, "headdim": 8}


def test_a_training_goes_on_with_another_backend_and_says_so(
    training: Begin, melee_data: str, caplog: pytest.LogCaptureFixture
) -> None:
    train(training(melee_data, model=MAMBA, steps=4, batch=4), 0)

    second = training(melee_data, attempt=2, model=MAMBA | {"backend": "auto"}, steps=5, batch=4)
    with caplog.at_level(logging.INFO, "wm"):
        assert begin(second) == 4
        train(second, 4)

    assert any(
        "made with backend torch, this training goes on with auto" in line
        for line in caplog.messages
    )


def test_a_checkpoint_from_before_there_were_backends_is_torchs(
    training: Begin, melee_data: str, caplog: pytest.LogCaptureFixture
) -> None:
    t = training(melee_data, model=MAMBA, steps=4, batch=4)
    train(t, 0)
    found = t.checkpoints.restore()
    assert found is not None
    del found.state["config"]["model"]["backend"]

    with caplog.at_level(logging.INFO, "wm"):
        t.checkpoints._check(found)
    assert not [line for line in caplog.messages if "backend" in line]


def test_another_shape_is_still_refused(training: Begin, melee_data: str) -> None:
    train(training(melee_data, model=MAMBA, steps=4, batch=4), 0)
    with pytest.raises(BadConfig, match="was made with model"):
        begin(training(melee_data, attempt=2, model=MAMBA | {"headdim": 16}, steps=5, batch=4))


@pytest.mark.parametrize(
    ("changes", "backend", "why"),
    [
        ({"deterministic": True}, "auto", "auto goes by a timing, which deterministic rules out"),
        ({"compile": True}, "auto", "compile is for model.backend torch"),
        ({"compile": True}, "kernel", "compile is for model.backend torch"),
        ({"deterministic": True}, "kernel", ""),
        ({"deterministic": True, "compile": True}, "torch", ""),
    ],
)
def test_settings_that_a_backend_does_not_go_with_are_refused(
    changes: dict[str, Any], backend: str, why: str
) -> None:
    config = settings("datasets/melee/x", model=MAMBA | {"backend": backend}, **changes)
    if not why:
        TrainConfig.model_validate(config)
        return
    with pytest.raises(ValidationError, match=why):
        TrainConfig.model_validate(config)
