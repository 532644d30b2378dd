"""The operator's own rules: each of these the webhook on a cluster refuses as well."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wm.errors import BadConfig
from wmctl.launch.kubernetes.render.checks import check_pytorchjob

GOLDEN = Path(__file__).parent / "golden"
ALONE = yaml.safe_load((GOLDEN / "train-2-processes.yaml").read_text())
ELASTIC = yaml.safe_load((GOLDEN / "train-2-pods.yaml").read_text())

Spoil = Callable[[dict[str, Any]], object]


def containers(body: dict[str, Any]) -> list[dict[str, Any]]:
    [replicas] = body["spec"]["pytorchReplicaSpecs"].values()
    found: list[dict[str, Any]] = replicas["template"]["spec"]["containers"]
    return found


def replicas(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["spec"]["pytorchReplicaSpecs"]
    return found


REFUSED: dict[str, tuple[dict[str, Any], Spoil, str]] = {
    "name": (ALONE, lambda b: b["metadata"].update(name="1-train"), "cannot name an object"),
    "long name": (ALONE, lambda b: b["metadata"].update(name="a" * 64), "cannot name an object"),
    "no replicas": (ALONE, lambda b: replicas(b).clear(), "replicas are"),
    "role": (ALONE, lambda b: replicas(b).update(Chief=replicas(b).pop("Master")), "replicas are"),
    "masters": (ALONE, lambda b: replicas(b)["Master"].update(replicas=2), "one Master, not 2"),
    "elastic": (
        ELASTIC,
        lambda b: replicas(b).update(Master={**replicas(b).pop("Worker"), "replicas": 1}),
        "needs Workers",
    ),
    "said twice": (
        ELASTIC,
        lambda b: b["spec"]["elasticPolicy"].update(nProcPerNode=2),
        "both set",
    ),
    "container": (ALONE, lambda b: containers(b)[0].update(name="trainer"), "named 'pytorch'"),
    "no container": (ALONE, lambda b: containers(b).clear(), "named 'pytorch'"),
    "image": (ALONE, lambda b: containers(b)[0].pop("image"), "has no image"),
}


@pytest.mark.parametrize("body", [ALONE, ELASTIC], ids=["alone", "elastic"])
def test_what_is_rendered_is_taken(body: dict[str, Any]) -> None:
    check_pytorchjob(body)


@pytest.mark.parametrize("rule", REFUSED)
def test_what_the_webhook_refuses_is_refused(rule: str) -> None:
    body, spoil, message = REFUSED[rule]
    spoilt = copy.deepcopy(body)
    spoil(spoilt)
    with pytest.raises(BadConfig, match=message):
        check_pytorchjob(spoilt)
