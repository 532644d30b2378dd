"""Fixtures for every test. A warning or a log record that no test asked for is a failure."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How long an example takes depends on what else this machine does.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

# A shell starts what it puts in the background with Ctrl-C ignored, and so would every child here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    """What a stage that runs inside the test's process sets for that process.

    Flushed denormals outlive the test: Hypothesis would refuse to draw floats ever after.
    """
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    yield
    if torch := sys.modules.get("torch"):
        torch.set_deterministic_debug_mode("default")
        torch.utils.deterministic.fill_uninitialized_memory = True
        torch.set_flush_denormal(False)
        if threads:
            torch.set_num_threads(threads)
