from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from wmctl.launch.kubernetes.render import SPEC_SHA256, difference

JOB = yaml.safe_load((Path(__file__).parent / "golden" / "arena.yaml").read_text())
CONTAINER = "spec.template.spec.containers[evaluator]"


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(JOB)
    where = body
    for key in path[:-1]:
        where = where[key]
    where[path[-1]] = value
    return body


POD = ["spec", "template", "spec"]
MAIN = [*POD, "containers", 0]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ([*MAIN, "image"], "other", f"{CONTAINER}.image is other, on the cluster registry"),
        (["spec", "backoffLimit"], 3, "spec.backoffLimit is 3, on the cluster 0"),
        (
            [*MAIN, "resources", "limits", "memory"],
            "8Gi",
            f"{CONTAINER}.resources.limits.memory is 8Gi, on the cluster 4Gi",
        ),
        (
            [*POD, "nodeSelector"],
            {"gpu": "h100"},
            "spec.template.spec.nodeSelector is {'gpu': 'h100'}, on the cluster absent",
        ),
        ([*MAIN, "args", 1], "s3://b", f"{CONTAINER}.args[1] is s3://b, on the cluster s3://games"),
        (
            [*MAIN, "env", 0, "name"],
            "POD",
            f"{CONTAINER}.env[POD] is {{'name': 'POD', 'valueFrom': ",
        ),
    ],
)
def test_the_first_difference_is_named(path: list[Any], value: Any, words: str) -> None:
    assert difference(JOB, changed(path, value)).startswith(words)


def test_what_is_gone_from_a_list_is_named() -> None:
    new = changed([*MAIN, "args"], JOB["spec"]["template"]["spec"]["containers"][0]["args"][:2])
    assert difference(JOB, new) == f"{CONTAINER}.args[2] is absent, on the cluster --once"


def test_long_values_are_cut() -> None:
    assert len(difference(JOB, changed([*MAIN, "image"], "x" * 500))) < 300


def test_what_the_cluster_fills_in_is_no_difference() -> None:
    live = changed([*POD, "dnsPolicy"], "ClusterFirst")
    live["status"] = {"active": 1}
    live["metadata"]["uid"] = "1"
    live["metadata"]["annotations"][SPEC_SHA256] = "other"
    assert difference(live, JOB) == ""


@pytest.mark.parametrize("amount", ["4096Mi", "4294967296", 4294967296])
def test_equal_amounts_are_no_difference(amount: object) -> None:
    live = changed([*MAIN, "resources", "limits", "memory"], amount)
    assert difference(live, JOB) == ""
