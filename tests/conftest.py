"""Fixtures for every test. A warning or a log record that no test asked for is a failure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.s3"]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder of real games; tests that need it are skipped where it is not there."""
    if not SHARED.is_dir():
        pytest.skip("real games are not here")
    return SHARED


@pytest.fixture
def expect_logs() -> list[str]:
    """Parts of the warnings that a test expects: append to it."""
    return []


@pytest.fixture(autouse=True)
def _no_unexpected_logs(caplog: pytest.LogCaptureFixture, expect_logs: list[str]) -> Iterator[None]:
    yield
    records = [r for phase in ("setup", "call") for r in caplog.get_records(phase)]
    unexpected = [
        r.getMessage()
        for r in records
        if r.levelno >= logging.WARNING and not any(e in r.getMessage() for e in expect_logs)
    ]
    assert not unexpected, f"unexpected log records: {unexpected}"
