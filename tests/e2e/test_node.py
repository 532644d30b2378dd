"""Faults of the node and of the control plane: their processes are stopped for a while."""

from __future__ import annotations

import time

import pytest

from tests.support.kube import LONG, Cluster, shown, stopped, store_stopped, wait_for

pytestmark = [pytest.mark.usefixtures("node"), pytest.mark.long]


def test_an_api_server_that_is_away_for_a_minute_costs_nothing(
    cluster: Cluster, small: str
) -> None:
    run = cluster.submit(small, "e2e-api", *LONG)
    cluster.wait_for_step(run, "train", 300)
    began = time.monotonic()
    with stopped("kube-apiserver"):
        wait_for(lambda: "no news since" in cluster.wmctl("status", run).out, 60)
        shown("API server away", began)
        time.sleep(max(0, 60 - (time.monotonic() - began)))
    state = cluster.wait_until_finished(run)
    assert not state.finished.code  # type: ignore[union-attr]
    assert cluster.codes(run, "train") == [0]


def test_a_node_that_does_not_report_is_shown_and_waited_for(cluster: Cluster, small: str) -> None:
    run = cluster.submit(small, "e2e-node", "--set", "stages.train.steps=6000")
    cluster.wait_for_step(run, "train", 300)
    began = time.monotonic()
    with stopped("kubelet"):
        wait_for(lambda: "node" in cluster.wmctl("status", run).out.partition("arena")[2], 90)
        shown("kubelet stopped", began)
    state = cluster.wait_until_finished(run, 600)
    assert not state.finished.code  # type: ignore[union-attr]


def test_a_store_that_is_away_for_a_minute_costs_a_minute(cluster: Cluster, small: str) -> None:
    run = cluster.submit(small, "e2e-store-away", *LONG)
    cluster.wait_for_step(run, "train", 300)
    began = time.monotonic()
    with store_stopped():
        status = cluster.wmctl("status", run)
        shown("store away, wmctl status says so", began)
        assert status.code == 69
        assert "cannot" in status.err
        time.sleep(max(0, 60 - (time.monotonic() - began)))
    state = cluster.wait_until_finished(run)
    assert not state.finished.code  # type: ignore[union-attr]
    assert cluster.codes(run, "train") == [0]
