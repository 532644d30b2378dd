from __future__ import annotations

from pathlib import Path

import pytest

from wm.store import Store, open_store


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "s3":
        return open_store(request.getfixturevalue("s3_url"))
    return open_store(str(tmp_path / "store"))
