"""Whether any node of a cluster could ever take a pod, however empty it were."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

Body = dict[str, Any]
Amounts = dict[str, Decimal]
"""Resource name -> bytes, cores or pieces."""

_PASSING = "node.kubernetes.io/"
"""Taints under this prefix say how a node is now, not what it is: they come and go."""


def could_fit(pod_spec: Body, nodes: list[Body]) -> list[str]:
    """Nothing if some node could take the pod; else one sentence per node on why it never can.

    ``pod_spec`` as in a pod template, ``nodes`` as the API lists them. What other pods use now does
    not count, nor whether a node is ready or cordoned. A cluster that adds nodes on demand may
    have kinds of nodes that are not to be seen here.
    """
    wanted = requests(pod_spec)
    verdicts = {n["metadata"]["name"]: list(_reasons(pod_spec, wanted, n)) for n in nodes}
    if not verdicts:
        return ["the cluster has no nodes"]
    if not all(verdicts.values()):
        return []
    return [f"{name}: {'; '.join(reasons)}" for name, reasons in verdicts.items()]


def requests(pod_spec: Body) -> Amounts:
    """What the scheduler reserves for a pod."""
    total: Amounts = {}
    for container in pod_spec.get("containers", []):
        for name, amount in _requests(container).items():
            total[name] = total.get(name, Decimal(0)) + amount
    for container in pod_spec.get("initContainers", []):  # one after the other, before the rest
        for name, amount in _requests(container).items():
            total[name] = max(total.get(name, Decimal(0)), amount)
    return total


def amount(quantity: object) -> Decimal:
    """``500m`` -> 0.5, ``1Gi`` -> 1073741824."""
    return Decimal(parse_quantity(quantity))  # type: ignore[no-untyped-call]


def _requests(container: Body) -> Amounts:
    resources = container.get("resources", {})
    # A limit without a request is a request as well.
    asked = resources.get("limits", {}) | resources.get("requests", {})
    return {name: amount(quantity) for name, quantity in asked.items()}


def _reasons(pod_spec: Body, wanted: Amounts, node: Body) -> Iterator[str]:
    labels = node["metadata"].get("labels", {})
    for key, value in pod_spec.get("nodeSelector", {}).items():
        if labels.get(key) != value:
            has = f"it is {labels[key]}" if key in labels else "it has no such label"
            yield f"the label {key} must be {value}, {has}"
    for taint in node.get("spec", {}).get("taints", []):
        if not _tolerated(taint, pod_spec.get("tolerations", [])):
            yield f"its taint {taint['key']}={taint.get('value', '')} is not tolerated"
    allocatable = node.get("status", {}).get("allocatable", {})
    for name, need in wanted.items():
        has_most = amount(allocatable.get(name, "0"))
        if need > has_most:
            yield f"{readable(name, need)} are asked for, it has {readable(name, has_most)}"


def readable(name: str, quantity: Decimal) -> str:
    """``4 nvidia.com/gpu``, ``64.0 Gi memory``."""
    if name in ("memory", "ephemeral-storage") or name.startswith("hugepages"):
        return f"{quantity / 2**30:.1f} Gi {name}"
    return f"{quantity.normalize():f} {name}"


def _tolerated(taint: Body, tolerations: list[Body]) -> bool:
    if taint["effect"] == "PreferNoSchedule" or taint["key"].startswith(_PASSING):
        return True
    return any(_matches(toleration, taint) for toleration in tolerations)


def _matches(toleration: Body, taint: Body) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same_value = toleration.get("value", "") == taint.get("value", "")
    return bool(toleration.get("key") == taint["key"] and same_value)
