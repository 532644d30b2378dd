"""A package wandb that is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.writers import FakeWandB
from trainer.writers.wandb import FOLDERS


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeWandB:
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    for name in FOLDERS:  # and as they were, afterwards
        monkeypatch.setenv(name, str(tmp_path))
    return fake
