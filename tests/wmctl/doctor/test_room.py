"""Quota and nodes against what a plan asks for."""

from __future__ import annotations

from typing import Any

import pytest

from wmctl.doctor import room
from wmctl.doctor.check import Trouble
from wmctl.launch.kubernetes.kinds import NODES, QUOTAS, Kind
from wmctl.launch.profiles import Profile


class Cluster:
    """Answers lists."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self._objects = objects

    def list(self, kind: Kind) -> tuple[list[dict[str, Any]], str]:
        return self._objects.get(kind.plural, []), "1"


def quota(hard: dict[str, str], used: dict[str, str]) -> Any:
    status = {"hard": hard, "used": used}
    return Cluster(**{QUOTAS.plural: [{"metadata": {"name": "wm"}, "status": status}]})


def nodes(*bodies: dict[str, Any]) -> Any:
    return Cluster(**{NODES.plural: list(bodies)})


def node(name: str, *, ready: str = "True", gpus: str = "0", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": gpus},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def train(pods: int = 1, gpus: int = 8) -> room.Demand:
    resources = {"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": gpus}}
    return room.Demand("train", pods, {"containers": [{"resources": resources}]})


HARD = {"pods": "10", "requests.cpu": "16", "requests.nvidia.com/gpu": "8", "limits.memory": "1Ti"}


def test_a_quota_with_room_says_how_much() -> None:
    api = quota(HARD, {"pods": "3", "requests.cpu": "1500m"})
    assert room.quota(api, [train()]) == "quota wm leaves 7 pods, 14.5 cpu, 8 nvidia.com/gpu"


def test_no_quota() -> None:
    assert room.quota(Cluster(), [train()]) == "the namespace has no quota"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("used", "demand", "words"),
    [
        ({}, train(pods=2), "quota wm allows 8 nvidia.com/gpu in all and train asks for 16"),
        (
            {"requests.nvidia.com/gpu": "4"},
            train(),
            "quota wm has 4 nvidia.com/gpu left and train asks for 8 nvidia.com/gpu",
        ),
        ({}, train(pods=11, gpus=0), "quota wm allows 10 pods in all and train asks for 11 pods"),
        ({"pods": "10"}, None, "quota wm has no pods left"),
    ],
)
def test_a_quota_without_room(used: dict[str, str], demand: room.Demand | None, words: str) -> None:
    with pytest.raises(Trouble, match=words):
        room.quota(quota(HARD, used), [demand] if demand else [])


def test_nodes_and_their_gpus() -> None:
    api = nodes(node("a"), node("b", ready="Unknown", gpus="8", **{"nvidia.com/gpu.product": "H"}))
    profiles = {
        "h100": Profile(selector={"nvidia.com/gpu.product": "H"}),
        "l4": Profile(selector={"nvidia.com/gpu.product": "L4"}),
    }
    assert room.nodes(api, [train()], profiles) == (
        "1 of 2 nodes are ready; 8 nvidia.com/gpu on b (nvidia.com/gpu.product=H); "
        "profiles with nodes: h100; each pod of the plan fits on one"
    )


def test_gpus_that_no_label_names() -> None:
    assert "8 nvidia.com/gpu on a (no label names their kind)" in room.nodes(
        nodes(node("a", gpus="8")), [], {}
    )


def test_a_plan_that_fits_nowhere() -> None:
    with pytest.raises(Trouble, match=r"no node could ever run train: a: 8 nvidia\.com/gpu are"):
        room.nodes(nodes(node("a", gpus="4")), [train()], {})


def test_no_node_is_ready() -> None:
    with pytest.raises(Trouble, match="no node of the cluster is ready"):
        room.nodes(nodes(node("a", ready="Unknown")), [], {})


def test_what_a_job_asks_for() -> None:
    template = {"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]}}
    metadata = {"labels": {"wm.dev/stage": "encode"}}
    job = {"metadata": metadata, "spec": {"parallelism": 4, "template": template}}
    assert room.demand(job).total == {"cpu": 4, "pods": 4}
    replicas = {"Worker": {"replicas": 2, "template": template}}
    training = {"metadata": metadata, "spec": {"pytorchReplicaSpecs": replicas}}
    assert room.demand(training).total == {"cpu": 2, "pods": 2}
    conductor = {"metadata": {"labels": {}}, "spec": {"template": template}}
    assert room.demand(conductor).stage == "the conductor"
