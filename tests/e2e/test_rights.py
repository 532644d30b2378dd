"""The conductor's Role holds what it needs and no more: without any one verb it says which."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kube import NAMESPACE, Cluster, kubectl, wait_for
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.errors import Forbidden
from wmctl.launch.kubernetes.kinds import CONFIGMAPS, JOBS, PODS, PYTORCHJOBS, Kind

GOLDEN = Path(__file__).parents[1] / "wmctl/launch/kubernetes/golden"
BODIES = {JOBS.plural: "arena.yaml", PYTORCHJOBS.plural: "train-2-processes.yaml"}


@pytest.fixture(scope="module")
def role(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The Role as it should be; it is so again afterwards."""
    found = json.loads(kubectl("get", "role", "wm-conductor", "-o", "json"))
    yield found
    put(found["rules"])


@pytest.fixture(scope="module")
def api(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The API as the conductor sees it."""
    view = kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json")
    config = json.loads(view)
    token = kubectl("create", "token", "wm-conductor").strip()
    config["users"] = [{"name": "conductor", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "conductor"
    path = tmp_path_factory.mktemp("rights") / "kubeconfig"
    path.write_text(json.dumps(config))
    before = os.environ["KUBECONFIG"]
    os.environ["KUBECONFIG"] = str(path)
    try:
        made = Api.connect(NAMESPACE)
        made.list(PODS)
    finally:
        os.environ["KUBECONFIG"] = before
    return made


def put(rules: list[dict[str, Any]]) -> None:
    kubectl("patch", "role", "wm-conductor", "--type=merge", "-p", json.dumps({"rules": rules}))


def uses(api: Api, kind: Kind) -> dict[str, Callable[[], object]]:
    """Verb -> something that the conductor does with it."""
    work: dict[str, Callable[[], object]] = {
        "list": lambda: api.list(kind),
        "watch": lambda: list(api.watch(kind, "", "0", 1)),
        "delete": lambda: api.delete(kind, "nothing"),
    }
    if kind.plural in BODIES:
        body = yaml.safe_load((GOLDEN / BODIES[kind.plural]).read_text())
        work["create"] = work["patch"] = lambda: api.apply(body, dry_run=True)
    return work


def everything(api: Api) -> dict[tuple[str, str], Callable[[], object]]:
    found = {("pods/log", "get"): lambda: api.log("nothing")}
    found["events", "list"] = lambda: api.events("nothing")
    found["configmaps", "get"] = lambda: api.get(CONFIGMAPS, "nothing")
    for kind in (JOBS, PYTORCHJOBS, PODS):
        found |= {(kind.plural, verb): use for verb, use in uses(api, kind).items()}
    return found


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(r, v) for rule in rules for r in rule["resources"] for v in rule["verbs"]}


def refusal(use: Callable[[], object]) -> str:
    try:
        use()
    except Forbidden as error:
        return f"{error.message} {error.hint}"
    except Exception:
        return ""
    return ""


def test_each_verb_that_is_taken_away_is_missed_and_named(api: Api, role: dict[str, Any]) -> None:
    uses_of = everything(api)
    assert granted(role["rules"]) <= set(uses_of), "a verb that nothing uses"
    for resource, verb in sorted(granted(role["rules"])):
        rules = copy.deepcopy(role["rules"])
        for rule in rules:
            if resource in rule["resources"]:
                rule["verbs"].remove(verb)
        put([rule for rule in rules if rule["verbs"]])
        said = wait_for(lambda r=resource, v=verb: refusal(uses_of[r, v]), 20)
        assert verb in said, (resource, verb, said)
        assert resource.partition("/")[0] in said, (resource, verb, said)
        assert "wm-conductor" in said, said
        assert "kubectl apply" in said, said
    put(role["rules"])
    wait_for(lambda: not refusal(uses_of["pods", "list"]), 20)
