"""One whole run of the tiny plan, for every test that looks at what a run leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny import run, submit_command


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store that holds one finished run of the tiny plan."""
    store = tmp_path_factory.mktemp("finished") / "store"
    done = run(submit_command(store))
    assert done.returncode == 0, done.stdout + done.stderr
    return store
