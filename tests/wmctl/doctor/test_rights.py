"""The doctor asks for exactly the rights that the manifests grant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.api_server import ApiServer, api_server
from wmctl.doctor import operator, rights
from wmctl.doctor.check import Trouble
from wmctl.launch.kubernetes.api import Api

BASE = Path(__file__).resolve().parents[3] / "k8s" / "base"


@pytest.mark.parametrize(
    ("table", "file"), [(rights.USER, "users.yaml"), (rights.CONDUCTOR, "conductor.yaml")]
)
def test_the_tables_are_what_the_manifests_grant(table: rights.Rights, file: str) -> None:
    bodies = yaml.safe_load_all((BASE / file).read_text())
    granted = {
        (group, resource, verb)
        for body in bodies
        for rule in body.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    asked = {
        (kind.group, "/".join(filter(None, (kind.plural, sub))), verb)
        for kind, sub, verbs in table
        for verb in verbs
    }
    assert asked == granted


def review(allowed: bool) -> tuple[int, dict[str, Any]]:
    return 201, {"status": {"allowed": allowed}}


def count(table: rights.Rights) -> int:
    return sum(len(verbs) for _, _, verbs in table)


def test_what_is_missing_is_named() -> None:
    with api_server() as server:
        api = Api(server.configuration, "wm")
        server.answers = [review(True)] * count(rights.USER)
        assert rights.mine(api) == "you may submit, watch, cancel and collect runs"
        # The first kind is ConfigMaps, of which the fourth verb is create.
        server.answers = [review(n not in (3, 4)) for n in range(count(rights.USER))]
        with pytest.raises(Trouble, match=r"you may not create/patch configmaps; .*rolebinding"):
            rights.mine(api)
        server.answers = [review(n != 5 + 2) for n in range(count(rights.CONDUCTOR))]
        with pytest.raises(Trouble, match=r"may not create pytorchjobs\.kubeflow\.org; grant it"):
            rights.conductors(api)


def test_who_may_not_ask_about_others_is_told_so() -> None:
    words = (
        'subjectaccessreviews.authorization.k8s.io is forbidden: User "ada" cannot create resource '
        '"subjectaccessreviews" in API group "authorization.k8s.io" at the cluster scope'
    )
    with api_server() as server:
        server.answers = [(403, words)]
        assert "you may not ask" in rights.conductors(Api(server.configuration, "wm"))


@pytest.fixture
def refused() -> str:
    return (
        'admission webhook "validator.pytorchjob.training-operator.kubeflow.org" denied the '
        "request: must have at least one container with name pytorch"
    )


def test_an_operator_that_refuses_is_an_operator_that_runs(refused: str) -> None:
    with api_server() as server:
        server.answers = [(400, refused)]
        assert "answers" in operator.answers(Api(server.configuration, "wm"))
        assert "dryRun=All" in server.requests[0]


def test_an_operator_that_is_not_there_lets_everything_through() -> None:
    with api_server() as server:
        with pytest.raises(Trouble, match="nobody checks them"):
            operator.answers(Api(server.configuration, "wm"))
        assert _container(server) == "not-pytorch"


def _container(server: ApiServer) -> str:
    template = server.bodies[0]["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    return str(template["spec"]["containers"][0]["name"])
