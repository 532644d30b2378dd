"""Whether there is room: quota and nodes, against what a plan's stages ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wmctl.doctor.check import Trouble
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.fit import Amounts, amount, could_fit, readable, requests
from wmctl.launch.kubernetes.kinds import NODES, QUOTAS
from wmctl.launch.kubernetes.pods import condition
from wmctl.launch.profiles import Profile

Body = dict[str, Any]

_GPU_LABELS = ("gpu.product", "gke-accelerator", "instance-gpu-name", "wm.dev/gpu")
"""Ends of the labels by which different clusters name a node's GPU."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one job of a plan asks for."""

    stage: str
    pods: int
    pod_spec: Body

    @property
    def total(self) -> Amounts:
        """Of all its pods, the number of pods among it."""
        each = requests(self.pod_spec)
        return {name: n * self.pods for name, n in each.items()} | {"pods": Decimal(self.pods)}


def demand(body: Body) -> Demand:
    """What a rendered job asks for."""
    spec = body["spec"]
    stage = body["metadata"]["labels"].get("wm.dev/stage", "the conductor")
    if "pytorchReplicaSpecs" in spec:
        [replicas] = spec["pytorchReplicaSpecs"].values()
        return Demand(stage, replicas["replicas"], replicas["template"]["spec"])
    return Demand(stage, spec.get("parallelism", 1), spec["template"]["spec"])


def quota(api: Api, demands: Sequence[Demand]) -> str:
    """Whether the namespace's quota has room for each job of the plan on its own."""
    quotas, _ = api.list(QUOTAS)
    said = [_in_quota(body, demands) for body in quotas]
    return "; ".join(said) or "the namespace has no quota"


def nodes(api: Api, demands: Sequence[Demand], profiles: dict[str, Profile]) -> str:
    """Whether some node could ever take each pod of the plan, and which GPUs there are."""
    bodies, _ = api.list(NODES)
    ready = [n for n in bodies if condition(n, "Ready").get("status") == "True"]
    if not ready:
        raise Trouble("no node of the cluster is ready; see kubectl describe nodes")
    for each in demands:
        if reasons := could_fit(each.pod_spec, bodies):
            raise Trouble(
                f"no node could ever run {each.stage}: {'; '.join(reasons)}; ask for less in the "
                "plan (resources), correct the profile, or add such a node"
            )
    words = [f"{len(ready)} of {len(bodies)} nodes are ready", *_gpus(bodies)]
    if profiles:
        found = [name for name, profile in profiles.items() if _has(profile, bodies)]
        words.append(f"profiles with nodes: {', '.join(found) or 'none'}")
    if demands:
        words.append("each pod of the plan fits on one")
    return "; ".join(words)


def _in_quota(body: Body, demands: Sequence[Demand]) -> str:
    name, status = body["metadata"]["name"], body.get("status", {})
    left = {}
    for key, most in status.get("hard", {}).items():
        resource = key.removeprefix("requests.")
        used = amount(status.get("used", {}).get(key, "0"))
        left[resource] = amount(most) - used
        for each in demands:
            need = each.total.get(resource, Decimal(0))
            if need > amount(most):
                raise Trouble(
                    f"quota {name} allows {readable(resource, amount(most))} in all and "
                    f"{each.stage} asks for {readable(resource, need)}; ask for less, or raise it"
                )
            if need > left[resource]:
                raise Trouble(
                    f"quota {name} has {readable(resource, left[resource])} left and {each.stage} "
                    f"asks for {readable(resource, need)}; end what uses it (kubectl get pods), "
                    "or raise it"
                )
        if left[resource] <= 0:
            raise Trouble(f"quota {name} has no {resource} left; end what uses it, or raise it")
    shown = [readable(r, n) for r, n in left.items() if r in ("pods", "cpu") or "gpu" in r]
    return f"quota {name} leaves {', '.join(shown) or 'room'}"


def _gpus(bodies: Sequence[Body]) -> Iterator[str]:
    """``8 nvidia.com/gpu on node1 (wm.dev/gpu=fake)``."""
    for node in bodies:
        labels = node["metadata"].get("labels", {})
        kinds = [f"{k}={v}" for k, v in labels.items() if k.endswith(_GPU_LABELS)]
        for name, number in node.get("status", {}).get("allocatable", {}).items():
            if "gpu" in name and amount(number):
                named = f" ({', '.join(kinds)})" if kinds else " (no label names their kind)"
                yield f"{number} {name} on {node['metadata']['name']}{named}"


def _has(profile: Profile, bodies: Sequence[Body]) -> bool:
    wanted = profile.node_selector.items()
    return any(wanted <= n["metadata"].get("labels", {}).items() for n in bodies)
