"""A training in this process, and a store with tiny data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.training import publish_chess, publish_melee, settings, write_spec
from trainer.config import TrainConfig
from trainer.preempt import Stopping
from trainer.reports import ProgressFile
from trainer.setup import assemble, make_repeatable
from trainer.team import Team
from trainer.training import Training
from wm.artifacts.dataset import open_dataset
from wm.store import Store, open_store

Begin = Callable[..., Training]

ALONE = Team(0, 1, torch.device("cpu"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def chess_data(store: Store) -> str:
    return publish_chess(store)


@pytest.fixture
def melee_data(store: Store) -> str:
    return publish_melee(store)


@pytest.fixture
def training(store: Store, tmp_path: Path) -> Begin:
    """``training(data, attempt=1, stage="train", team=ALONE, **changes)``: ready to begin."""

    def make(
        data: str, attempt: int = 1, stage: str = "train", team: Team = ALONE, **changes: Any
    ) -> Training:
        config = TrainConfig.model_validate(settings(data, **changes))
        spec = write_spec(store, config.model_dump(mode="json"), attempt)
        spec = spec.model_copy(update={"stage": stage})
        make_repeatable(config, team)
        data_set = open_dataset(store, data, tmp_path / "cache")
        progress = ProgressFile(tmp_path, config.steps)
        return assemble(store, spec, config, team, data_set, Stopping(), progress)

    return make
