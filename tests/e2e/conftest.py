"""Tests on a real cluster; ``make e2e`` prepares it. See :mod:`tests.support.kube`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube import Cluster, connected

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))
            if not os.environ.get("WM_E2E"):
                item.add_marker(pytest.mark.skip(reason="no cluster: make e2e runs it"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster and an empty corner of its store."""
    with connected(tmp_path_factory.mktemp("e2e"), secrets.token_hex(2)) as there:
        yield there


@pytest.fixture
def node() -> None:
    """For tests that stop processes of the node: skipped where they cannot."""
    if "WM_E2E_PIDS" not in os.environ:
        pytest.skip("WM_E2E_PIDS is not set: this cluster's own processes are out of reach")


@pytest.fixture
def small() -> str:
    """A plan of one encode, one train and one arena stage."""
    return str(HERE / "small.yaml")
