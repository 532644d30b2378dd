"""The rules of the training operator's webhook, for where there is no webhook."""

from __future__ import annotations

from typing import Any

from wm.errors import BadConfig
from wmctl.launch.kubernetes.names import check_name


def check_pytorchjob(body: dict[str, Any]) -> None:
    """Raise :class:`BadConfig` for a PyTorchJob that the operator would refuse."""
    name, replicas = check_name(body["metadata"]["name"]), body["spec"]["pytorchReplicaSpecs"]
    check_replicas(name, replicas)
    for role, each in replicas.items():
        check_containers(name, role, each["template"]["spec"]["containers"])


def check_replicas(name: str, replicas: dict[str, Any]) -> None:
    """Masters and Workers only, and no more than one Master."""
    if set(replicas) - {"Master", "Worker"}:
        raise BadConfig(f"PyTorchJob {name}: its replicas are Master, Worker or both")
    if "Master" in replicas and replicas["Master"]["replicas"] != 1:
        raise BadConfig(
            f"PyTorchJob {name}: it has one Master, not {replicas['Master']['replicas']}",
            hint="several pods are Workers without a Master",
        )


def check_containers(name: str, role: str, containers: list[dict[str, Any]]) -> None:
    """One container is named pytorch, and each has an image."""
    if not any(each["name"] == "pytorch" for each in containers):
        raise BadConfig(
            f"PyTorchJob {name}: no container of its {role} is named 'pytorch'",
            hint="the operator looks for that name",
        )
    for each in containers:
        if not each.get("image"):
            raise BadConfig(f"PyTorchJob {name}: container {each['name']} of {role} has no image")
