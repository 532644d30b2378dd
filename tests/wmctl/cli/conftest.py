from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def mine(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run's store that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "store"))
