"""Whether a pod could ever fit, on nodes as the API lists them."""

from __future__ import annotations

from typing import Any

import pytest

from wmctl.launch.kubernetes.fit import could_fit, requests

GPU = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def node(name: str = "node1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"gpu": "h100", "zone": "a"}},
        "spec": spec,
        "status": {
            "allocatable": {
                "cpu": "7900m",
                "memory": "32893952Ki",
                "ephemeral-storage": "94992122020",
                "nvidia.com/gpu": "8",
                "pods": "110",
            }
        },
    }


def pod(limits: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": "500m"}, "limits": limits or {}}
    return {"containers": [{"name": "pytorch", "resources": resources}], **spec}


@pytest.mark.parametrize(
    ("pod_spec", "node_spec"),
    [
        (pod(), {}),
        (pod({"nvidia.com/gpu": 8, "memory": "31Gi"}), {}),
        (pod(nodeSelector={"gpu": "h100"}), {}),
        (pod(tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}]), {"taints": [GPU]}),
        (pod(tolerations=[{"operator": "Exists"}]), {"taints": [GPU]}),
        (pod(tolerations=[GPU]), {"taints": [GPU]}),
        # A node that is away or cordoned now may be back when its turn comes.
        (pod(), {"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]}),
        (pod(), {"taints": [{"key": "busy", "effect": "PreferNoSchedule"}]}),
    ],
)
def test_fits(pod_spec: dict[str, Any], node_spec: dict[str, Any]) -> None:
    assert could_fit(pod_spec, [node(**node_spec)]) == []


@pytest.mark.parametrize(
    ("pod_spec", "node_spec", "reason"),
    [
        (
            pod({"nvidia.com/gpu": 9}),
            {},
            "9 nvidia.com/gpu are asked for, it has 8 nvidia.com/gpu",
        ),
        (pod({"amd.com/gpu": 1}), {}, "1 amd.com/gpu are asked for, it has 0 amd.com/gpu"),
        (pod({"memory": "64Gi"}), {}, "64.0 Gi memory are asked for, it has 31.4 Gi memory"),
        (pod(nodeSelector={"gpu": "a100"}), {}, "the label gpu must be a100, it is h100"),
        (pod(nodeSelector={"spot": "1"}), {}, "the label spot must be 1, it has no such label"),
        (pod(), {"taints": [GPU]}, "its taint nvidia.com/gpu=present is not tolerated"),
        (
            pod(tolerations=[GPU | {"value": "other"}]),
            {"taints": [GPU]},
            "its taint nvidia.com/gpu=present is not tolerated",
        ),
        (
            pod(tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "x"}]),
            {"taints": [GPU]},
            "its taint nvidia.com/gpu=present is not tolerated",
        ),
    ],
)
def test_never_fits(pod_spec: dict[str, Any], node_spec: dict[str, Any], reason: str) -> None:
    assert could_fit(pod_spec, [node(**node_spec)]) == [f"node1: {reason}"]


def test_one_node_that_fits_is_enough() -> None:
    assert could_fit(pod(), [node("full", taints=[GPU]), node("free")]) == []


def test_every_node_says_why_not() -> None:
    wanted = pod({"nvidia.com/gpu": 16, "memory": "64Gi"})
    assert [line.split(":")[0] for line in could_fit(wanted, [node("a"), node("b")])] == ["a", "b"]
    assert could_fit(wanted, [node("a")])[0].count(";") == 1


def test_a_cluster_without_nodes() -> None:
    assert could_fit(pod(), []) == ["the cluster has no nodes"]


def test_containers_add_up_and_init_containers_do_not() -> None:
    def container(cpu: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}}

    spec = {"containers": [container("1"), container("500m")], "initContainers": [container("1")]}
    assert requests(spec) == {"cpu": 1.5}
    assert requests(spec | {"initContainers": [container("4")]}) == {"cpu": 4}
