"""Every object against its golden file, and against the schemas of Kubernetes.

``WM_REWRITE_GOLDEN=1 pytest tests/wmctl/launch/kubernetes/test_render.py`` writes the files anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from wm.errors import BadConfig
from wm.stage.spec import Kind
from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render import render, render_conductor, render_owner
from wmctl.launch.profiles import Profile
from wmctl.plan.model import Plan, Resources
from wmctl.plan.node import Node
from wmctl.run.spec import RunSpec

GOLDEN = Path(__file__).parent / "golden"
RUN = "demo-1122-k3f9"
OWNER = "0b9c1d0e-5f7a-4c55-9a3e-2f4b8d6c7a10"

PLATFORM = Platform(
    store="s3://games/wm",
    images={
        "encoder": f"registry.example/wm-encoder@sha256:{'1' * 64}",
        "trainer": f"registry.example/wm-trainer@sha256:{'2' * 64}",
        "evaluator": f"registry.example/wm-evaluator@sha256:{'3' * 64}",
        "conductor": f"registry.example/wm-conductor@sha256:{'4' * 64}",
    },
    version="0.1.0",
)
GPU_PLATFORM = PLATFORM.model_copy(
    update={
        "profiles": {
            "h100": Profile(
                selector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
                tolerations=[
                    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                    {
                        "key": "cloud.google.com/gke-spot",
                        "operator": "Equal",
                        "value": "true",
                        "effect": "NoSchedule",
                    },
                ],
                price_per_hour=2.5,
                spot={"cloud.google.com/gke-spot": "true"},
            )
        },
        "queue": "overnight",
        "pull_secret": "wm-registry",
        "grace_s": 110,
    }
)


def job(kind: Kind, *, pods: int = 1, processes: int = 1, **resources: Any) -> StageJob:
    stage = f"{kind}-chess"
    return StageJob(
        run=RUN,
        stage=stage,
        attempt=1,
        kind=kind,
        spec=f"s3://games/wm/runs/{RUN}/{stage}/01/spec.json",
        pods=pods,
        processes=processes,
        resources=Resources(**resources),
    )


def run_spec() -> RunSpec:
    plan = Plan.model_validate({"name": "demo", "stages": {"encode-chess": {"encode": "chess"}}})
    node = Node(name="encode-chess", stage="encode-chess", kind="encode", game="chess", config={})
    return RunSpec(run=RUN, plan=plan, nodes=[node], created=1795370000.0, version="0.1.0")


OBJECTS: dict[str, Callable[[], dict[str, Any]]] = {
    "owner": lambda: render_owner(run_spec(), PLATFORM),
    "conductor": lambda: render_conductor(RUN, PLATFORM, OWNER),
    "encode-1-pod": lambda: render(job("encode", cpus=2), PLATFORM, OWNER),
    "encode-4-pods": lambda: render(job("encode", pods=4, cpus=1.5, disk="50Gi"), PLATFORM, OWNER),
    "train-2-processes": lambda: render(job("train", processes=2, cpus=2), PLATFORM, OWNER),
    "train-8-gpus": lambda: render(
        job("train", processes=8, cpus=32, memory="256Gi", disk="200Gi", shm="64Gi", gpu="h100"),
        GPU_PLATFORM,
        OWNER,
        active_deadline_s=28800,
    ),
    "train-2-pods": lambda: render(job("train", pods=2, processes=2, cpus=2), PLATFORM, OWNER),
    "arena": lambda: render(job("arena", cpus=2), PLATFORM, OWNER),
}


def as_yaml(body: dict[str, Any]) -> str:
    return yaml.safe_dump(body, sort_keys=False, width=110)


def pod_specs(body: dict[str, Any]) -> list[dict[str, Any]]:
    spec = body.get("spec", {})
    replicas = spec.get("pytorchReplicaSpecs", {}).values()
    return [each["template"]["spec"] for each in [*replicas, spec] if "template" in each]


@pytest.mark.parametrize("name", OBJECTS)
def test_object_is_the_golden_one(name: str) -> None:
    path, rendered = GOLDEN / f"{name}.yaml", as_yaml(OBJECTS[name]())
    if os.environ.get("WM_REWRITE_GOLDEN"):
        path.write_text(rendered)
    assert rendered == path.read_text()


def test_every_golden_file_is_of_an_object() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_object_keeps_to_the_schema(name: str) -> None:
    body = OBJECTS[name]()
    if body["kind"] == "PyTorchJob":  # its schema is the operator's; its pod's is not
        [spec] = pod_specs(body)
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    kubernetes_validate.validate(body, "1.34", strict=True)


@pytest.mark.parametrize("name", OBJECTS)
def test_two_renderings_share_nothing(name: str) -> None:
    body = OBJECTS[name]()
    body["metadata"]["labels"]["x"] = "y"
    for spec in pod_specs(body):
        spec["containers"][0]["env"].clear()
        spec["volumes"].clear()
    assert as_yaml(OBJECTS[name]()) == (GOLDEN / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    ("resources", "processes", "gpus"),
    [({"gpu": "h100"}, 8, 8), ({"gpu": "h100", "gpus": 4}, 8, 4), ({}, 8, None)],
)
def test_a_pod_gets_a_gpu_per_process_unless_told(
    resources: dict[str, Any], processes: int, gpus: int | None
) -> None:
    body = render(job("train", processes=processes, **resources), GPU_PLATFORM, None)
    [spec] = pod_specs(body)
    assert spec["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") == gpus
    assert ("nodeSelector" in spec) == (gpus is not None)


def test_an_arena_gets_one_gpu() -> None:
    [spec] = pod_specs(render(job("arena", gpu="h100"), GPU_PLATFORM, None))
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_without_an_owner_there_is_no_reference_to_one() -> None:
    assert "ownerReferences" not in render(job("arena"), PLATFORM, None)["metadata"]


@pytest.mark.parametrize("kind", ["encode", "train", "arena"])
def test_a_deadline_is_there_when_asked_for(kind: Kind) -> None:
    def deadline(body: dict[str, Any]) -> int | None:
        [spec] = pod_specs(body) if kind == "train" else [body["spec"]]
        return spec.get("activeDeadlineSeconds")

    assert deadline(render(job(kind), PLATFORM, None)) is None
    assert deadline(render(job(kind), PLATFORM, None, active_deadline_s=90)) == 90


@pytest.mark.parametrize(
    ("cpus", "request_"), [(None, "1"), (0.1, "100m"), (1.5, "1500m"), (32.0, "32"), (1e-9, "1m")]
)
def test_cores_are_written_as_the_cluster_writes_them(cpus: float | None, request_: str) -> None:
    [spec] = pod_specs(render(job("arena", cpus=cpus), PLATFORM, None))
    resources = spec["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == request_
    assert "cpu" not in resources["limits"]


def test_an_unknown_gpu_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BadConfig) as caught:
        render(job("train", gpu="h10"), GPU_PLATFORM, None)
    assert "stage train-chess" in caught.value.message
    assert "did you mean 'h100'?" in caught.value.message
    assert "profiles: h100" in caught.value.hint


def test_the_hash_changes_with_what_is_asked_for() -> None:
    def digest(body: dict[str, Any]) -> str:
        return str(body["metadata"]["annotations"]["wm.dev/spec-sha256"])

    one, again = render(job("arena"), PLATFORM, OWNER), render(job("arena"), PLATFORM, OWNER)
    other = render(job("arena", memory="8Gi"), PLATFORM, OWNER)
    assert digest(one) == digest(again) != digest(other)


@pytest.mark.parametrize("name", OBJECTS)
def test_the_webhooks_address_reaches_the_conductor_alone_and_as_a_file(name: str) -> None:
    body = OBJECTS[name]()
    if name != "conductor":
        assert "webhook" not in as_yaml(body).lower()
        return
    [spec] = pod_specs(body)
    [container] = spec["containers"]
    [volume] = [v for v in spec["volumes"] if v["name"] == "webhook"]
    assert volume["secret"] == {"secretName": "wm-webhook", "optional": True}
    [mount] = [m for m in container["volumeMounts"] if m["name"] == "webhook"]
    assert mount["readOnly"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["WM_WEBHOOK_FILE"] == f"{mount['mountPath']}/url"
    assert "secretKeyRef" not in as_yaml(body)
