"""The API by the real client before a scripted server: what is sent, and what errors say."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_server import TOKEN, ApiServer, Fault, api_server
from wm.errors import BadConfig, Exit, InputMissing, WmError
from wmctl.launch.kubernetes import connection
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.errors import (
    ApiTrouble,
    ApiUnreachable,
    Conflict,
    Forbidden,
    NoNamespace,
    NotServed,
    QuotaExceeded,
    Rejected,
    Unauthorised,
)
from wmctl.launch.kubernetes.kinds import JOBS, NODES, PODS, PYTORCHJOBS, kind_of

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "demo-train-01"}}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as server:
        yield server


@pytest.fixture
def api(server: ApiServer) -> Api:
    return Api(server.configuration, "wm")


def status(message: str) -> str:
    return json.dumps({"kind": "Status", "message": message})


@pytest.mark.parametrize(
    ("code", "words", "kind", "sentence", "hint"),
    [
        (
            403,
            'pytorchjobs.kubeflow.org is forbidden: User "system:serviceaccount:wm:wm-conductor" '
            'cannot create resource "pytorchjobs" in API group "kubeflow.org" in the namespace '
            '"wm"',
            Forbidden,
            "the service account system:serviceaccount:wm:wm-conductor may not create pytorchjobs "
            "in namespace wm",
            "kubectl apply --server-side -k k8s/overlays/",
        ),
        (
            403,
            'pods is forbidden: User "ada@example.org" cannot list resource "pods" in API group "" '
            'in the namespace "wm"',
            Forbidden,
            "ada@example.org may not list pods in namespace wm",
            "create rolebinding wm-user-NAME --role=wm-user --user=ada@example.org",
        ),
        (
            403,
            'pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8, '
            "used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=8",
            QuotaExceeded,
            "exceeded quota: gpus, requested: requests.nvidia.com/gpu=8",
            "kubectl -n wm describe quota",
        ),
        (
            403,
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            Rejected,
            'violates PodSecurity "restricted:latest"',
            "--dry-run=client",
        ),
        (
            403,
            'jobs.batch "x" is forbidden: unable to create new content in namespace wm because it '
            "is being terminated",
            NoNamespace,
            "namespace wm is being deleted",
            "wait until it is gone",
        ),
        (404, 'namespaces "wm" not found', NoNamespace, "namespace wm does not exist", "make it"),
        (
            409,
            'Apply failed with 1 conflict: conflict with "kubectl-edit": .spec.parallelism',
            Conflict,
            'conflict with "kubectl-edit": .spec.parallelism',
            "kubectl -n wm delete jobs.batch demo-train-01",
        ),
        (
            422,
            'Job.batch "x" is invalid: spec.template: Invalid value: field is immutable',
            Rejected,
            "refuses to patch jobs.batch demo-train-01 in namespace wm: Job.batch",
            "--dry-run=client",
        ),
        (
            400,
            'admission webhook "validator.pytorchjob" denied the request: must have a container',
            Rejected,
            "denied the request: must have a container",
            "",
        ),
        (
            500,
            'Internal error occurred: failed calling webhook "validator.pytorchjob": failed to '
            'call webhook: Post "https://training-operator.kubeflow.svc:443/validate": refused',
            ApiTrouble,
            "the webhook validator.pytorchjob does not answer",
            "kubectl get pods -A",
        ),
        (503, "apiserver not ready", ApiTrouble, "apiserver not ready (HTTP 503)", "tried again"),
        (429, "too many requests", ApiTrouble, "too many requests (HTTP 429)", "tried again"),
    ],
)
def test_a_refusal_says_who_what_and_the_way_out(
    server: ApiServer, api: Api, code: int, words: str, kind: type, sentence: str, hint: str
) -> None:
    server.answers = [(code, status(words))]
    with pytest.raises(WmError) as caught:
        api.apply(JOB)
    assert type(caught.value) is kind
    assert sentence in caught.value.message
    assert hint in caught.value.hint


def test_a_kind_that_is_not_served(server: ApiServer, api: Api) -> None:
    server.answers = [(404, "404 page not found")] * 3
    for call in (
        lambda: api.get(PYTORCHJOBS, "x"),
        lambda: api.list(PYTORCHJOBS),
        lambda: api.delete(PYTORCHJOBS, "x"),
    ):
        with pytest.raises(NotServed, match=r"does not serve pytorchjobs\.kubeflow\.org/v1") as e:
            call()
        assert "training operator" in e.value.hint


def test_what_is_not_there_is_no_error(server: ApiServer, api: Api) -> None:
    server.answers = [(404, status('jobs.batch "x" not found'))] * 2
    assert api.get(JOBS, "x") is None
    assert api.delete(JOBS, "x") is False
    server.answers = [(404, status('pods "x" not found'))]
    with pytest.raises(InputMissing, match="pods x in namespace wm does not exist"):
        api.log("x")


def test_apply_is_server_side_and_without_force(server: ApiServer, api: Api) -> None:
    assert api.apply(JOB) == JOB
    api.apply(JOB, dry_run=True)
    path = "PATCH /apis/batch/v1/namespaces/wm/jobs/demo-train-01?fieldManager=wmctl"
    assert server.requests == [path, f"{path}&dryRun=All"]
    assert server.content_types == ["application/apply-patch+yaml"] * 2
    assert server.bodies[0] == JOB


def test_delete_says_how(server: ApiServer, api: Api) -> None:
    assert api.delete(JOBS, "x") is True
    api.delete(JOBS, "x", grace=0, propagation="Foreground")
    assert server.bodies == [
        {"propagationPolicy": "Background"},
        {"propagationPolicy": "Foreground", "gracePeriodSeconds": 0},
    ]


def test_lists_and_logs_ask_for_what_is_wanted(server: ApiServer, api: Api) -> None:
    server.put("first", phase="Running")
    items, version = api.list(PODS, "wm.dev/run=demo,wm.dev/stage in (a,b)")
    assert ([item["metadata"]["name"] for item in items], version) == (["first"], "101")
    server.answers = [(200, "one ✓\ntwo\n")]
    assert api.log("first", "pytorch", tail=2, limit_bytes=100) == "one ✓\ntwo\n"
    wanted = "labelSelector=wm.dev/run%3Ddemo%2Cwm.dev/stage%20in%20%28a%2Cb%29"
    assert server.requests[0].endswith(wanted)
    log = "/log?container=pytorch&tailLines=2&limitBytes=100"
    assert server.requests[1] == f"GET /api/v1/namespaces/wm/pods/first{log}"


def test_events_come_oldest_first_whoever_wrote_them(server: ApiServer, api: Api) -> None:
    def event(message: str, **times: object) -> dict[str, object]:
        return {"message": message, "metadata": {"creationTimestamp": None}, **times}

    items = [
        event("third", series={"lastObservedTime": "2026-11-22T10:00:03Z"}, eventTime="2020-01-01"),
        event("second", lastTimestamp=None, eventTime="2026-11-22T10:00:02.000000Z"),
        event("first", lastTimestamp="2026-11-22T10:00:01Z"),
    ]
    server.answers = [(200, {"metadata": {"resourceVersion": "1"}, "items": items})]
    assert [e["message"] for e in api.events("pod-1")] == ["first", "second", "third"]
    assert "fieldSelector=involvedObject.name%3Dpod-1" in server.requests[0]


def test_who_may_do_what(server: ApiServer, api: Api) -> None:
    server.answers = [(201, {"status": {"allowed": True}}), (201, {"status": {}})]
    assert api.can_i("get", PODS, "log")
    assert not api.can_i("list", NODES, user="system:serviceaccount:wm:wm-conductor")
    mine, theirs = (body["spec"] for body in server.bodies)
    assert mine["resourceAttributes"] == {
        "verb": "get",
        "resource": "pods",
        "group": "",
        "namespace": "wm",
        "subresource": "log",
    }
    assert theirs["user"] == "system:serviceaccount:wm:wm-conductor"
    assert "system:serviceaccounts:wm" in theirs["groups"]
    assert "namespace" not in theirs["resourceAttributes"]


def test_version_and_clock(server: ApiServer, api: Api) -> None:
    server.answers = [(200, {"gitVersion": "v1.34.4"})] * 2
    assert api.server_version() == "v1.34.4"
    assert abs(api.server_time() - time.time()) < 3


def test_credentials_that_rotated_are_read_again(server: ApiServer) -> None:
    asked = []

    def configure() -> object:
        asked.append(1)
        configuration = server.configuration()
        if len(asked) == 1:
            configuration.api_key = {"BearerToken": "Bearer an-old-token"}
        return configuration

    api = Api(configure, "wm")  # type: ignore[arg-type]
    assert api.list(PODS) == ([], "100")
    assert api.list(PODS) == ([], "100")
    assert len(asked) == 2


def test_the_client_is_made_anew_now_and_then(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def configure() -> object:
        asked.append(1)
        return server.configuration()

    monkeypatch.setattr(connection, "REBUILD", 0.05)
    api = Api(configure, "wm")  # type: ignore[arg-type]
    api.list(PODS)
    api.list(PODS)
    assert len(asked) == 1
    time.sleep(0.06)
    api.list(PODS)
    assert len(asked) == 2


def test_a_refused_token_is_never_shown(server: ApiServer, api: Api) -> None:
    server.fail(Fault.UNAUTHORISED, times=2)
    with pytest.raises(Unauthorised) as caught:
        api.list(PODS)
    assert "kubectl auth whoami" in caught.value.hint
    assert TOKEN not in repr(caught.value) + caught.value.message + caught.value.hint


def test_an_answer_that_is_no_json(server: ApiServer, api: Api) -> None:
    server.answers = [(200, "<html>a proxy's page</html>")]
    with pytest.raises(ApiUnreachable, match="what it sent cannot be read"):
        api.list(PODS)


def test_a_proxys_page_is_quoted_in_one_line(server: ApiServer, api: Api) -> None:
    server.answers = [(502, "<html>\n<h1>Bad Gateway</h1>\n</html>")]
    with pytest.raises(ApiTrouble, match=r"<html> <h1>Bad Gateway</h1> </html> \(HTTP 502\)"):
        api.list(PODS)


def test_nobody_there(server: ApiServer, api: Api) -> None:
    server.leave()
    with pytest.raises(ApiUnreachable, match=r"127\.0\.0\.1:\d+ does not answer") as caught:
        api.list(PODS)
    assert caught.value.code == Exit.STORE_UNREACHABLE


def test_a_port_that_nobody_listens_on(server: ApiServer) -> None:
    configuration = server.configuration()
    configuration.host = "http://127.0.0.1:1"
    with pytest.raises(ApiUnreachable, match="does not answer: Connection refused"):
        Api(lambda: configuration, "wm").list(PODS)


def test_without_any_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(BadConfig, match="no Kubernetes cluster is configured") as caught:
        Api.connect("wm")
    assert "KUBECONFIG" in caught.value.hint
    (tmp_path / "none").write_text("this: [is no kubeconfig")
    with pytest.raises(BadConfig, match="no Kubernetes cluster is configured"):
        Api.connect("wm")


def test_kinds_know_their_paths() -> None:
    assert NODES.path("wm", "node1") == "/api/v1/nodes/node1"
    assert PODS.path("wm", "p", "log") == "/api/v1/namespaces/wm/pods/p/log"
    assert PYTORCHJOBS.path("wm") == "/apis/kubeflow.org/v1/namespaces/wm/pytorchjobs"
    assert kind_of(JOB) is JOBS


def test_on_a_real_cluster() -> None:
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no cluster: KUBECONFIG is not set")
    api = Api.connect("wm-test-no-such-namespace")
    try:
        assert api.server_version().startswith("v1.")
    except ApiTrouble as error:
        pytest.skip(f"no cluster: {error.message}")
    assert abs(api.server_time() - time.time()) < 60
    with pytest.raises(NoNamespace, match="namespace wm-test-no-such-namespace does not exist"):
        api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
