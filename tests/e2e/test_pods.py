"""Several pods on one attempt: they make what one would have made."""

from __future__ import annotations

import json

import pytest

from tests.support.kube import Cluster

pytestmark = pytest.mark.long


def test_two_pods_train_and_encode_what_one_does(cluster: Cluster, small: str) -> None:
    one = cluster.submit(small, "e2e-one")
    two = cluster.submit(
        small,
        "e2e-two",
        *("--set", "stages.train.pods=2", "--set", "stages.train.processes=1"),
        *("--set", "stages.encode.pods=2", "--set", "stages.encode.shard_mb=63"),
    )
    for run in (one, two):
        assert not cluster.wait_until_finished(run).finished.code  # type: ignore[union-attr]
    assert len(cluster.pods(two, "train")) == 2
    assert len(cluster.pods(two, "encode")) == 2
    assert weights(cluster, one) == weights(cluster, two)
    # Another size of shards is another data set: it was encoded anew, by two.
    assert not cluster.state(two).nodes["encode"].result["hit"]


def weights(cluster: Cluster, run: str) -> str:
    model = cluster.state(run).nodes["train"].result["model"]
    card = json.loads(cluster.store.get(f"{model}/model.json"))
    return str(card["weights"]["sha256"])
