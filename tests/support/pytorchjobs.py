"""PyTorchJobs with one fault each that the training operator's webhook refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

GOLDEN = Path(__file__).parents[1] / "wmctl" / "launch" / "kubernetes" / "golden"


def good(name: str) -> dict[str, Any]:
    """The PyTorchJob of a golden file."""
    body: dict[str, Any] = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    return body


def faulty(fault: str) -> dict[str, Any]:
    """The PyTorchJob with one of :data:`FAULTS`."""
    name, spoil, _ = FAULTS[fault]
    body = copy.deepcopy(good(name))
    spoil(body)
    return body


def _replicas(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["spec"]["pytorchReplicaSpecs"]
    return found


def _containers(body: dict[str, Any]) -> list[dict[str, Any]]:
    [replicas] = _replicas(body).values()
    found: list[dict[str, Any]] = replicas["template"]["spec"]["containers"]
    return found


def _rename(body: dict[str, Any], old: str, new: str) -> None:
    replicas = _replicas(body)
    replicas[new] = replicas.pop(old)


ALONE, TWO = "train-2-processes", "train-2-pods"

FAULTS: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "name": (ALONE, lambda b: b["metadata"].update(name="1-train"), "cannot name an object"),
    "long name": (ALONE, lambda b: b["metadata"].update(name="a" * 64), "cannot name an object"),
    "role": (ALONE, lambda b: _rename(b, "Master", "Chief"), "replicas are"),
    "masters": (TWO, lambda b: _rename(b, "Worker", "Master"), "one Master, not 2"),
    "container": (ALONE, lambda b: _containers(b)[0].update(name="trainer"), "named 'pytorch'"),
    "no container": (ALONE, lambda b: _containers(b).clear(), "named 'pytorch'"),
    "image": (ALONE, lambda b: _containers(b)[0].pop("image"), "has no image"),
}
"""Fault -> golden file, how to spoil it, and what our own check says."""
