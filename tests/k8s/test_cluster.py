"""What a real cluster makes of the manifests. Skipped without one; nothing is left behind."""

from __future__ import annotations

import copy
import json
import subprocess

import pytest

from tests.k8s.manifests import Object, load, named, rules

VERBS = "get list watch create update patch delete deletecollection"
RESOURCES = (
    "batch/jobs kubeflow.org/pytorchjobs /pods /pods/log /pods/exec /pods/eviction /events"
    " /configmaps /secrets /serviceaccounts /serviceaccounts/token /nodes /resourcequotas"
    " rbac.authorization.k8s.io/roles rbac.authorization.k8s.io/rolebindings"
)


@pytest.mark.parametrize("account", ["wm-conductor", "wm-encoder", "wm-trainer", "wm-evaluator"])
def test_an_account_may_do_what_its_role_says_and_nothing_else(cluster: str, account: str):
    asked = {r: VERBS.split() for r in RESOURCES.split()}
    role = rules(named(load("base/*.yaml"), "Role", "wm-conductor"))
    granted = role if account == "wm-conductor" else {}
    assert set(granted) <= set(asked)
    allowed = _allowed(cluster, f"system:serviceaccount:wm:{account}", asked)
    assert allowed == {r: set(granted.get(r, "").split()) for r in asked}


def test_a_pod_that_runs_as_root_is_refused(cluster: str):
    pod = _pod()
    del pod["spec"]["securityContext"]["runAsNonRoot"]
    done = _dry_run(cluster, pod)
    assert done.returncode
    assert 'violates PodSecurity "restricted' in done.stderr


def test_a_pod_without_requests_gets_defaults_and_no_limit_of_its_cores(cluster: str):
    done = _dry_run(cluster, _pod())
    assert done.returncode == 0, done.stderr
    [container] = json.loads(done.stdout)["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Gi"},
        "limits": {"memory": "1Gi"},
    }


def test_a_pod_that_asks_for_more_memory_than_the_default_keeps_what_it_asked_for(cluster: str):
    pod = _pod()
    asked = {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    pod["spec"]["containers"][0]["resources"] = copy.deepcopy(asked)
    done = _dry_run(cluster, pod)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"]["containers"][0]["resources"] == asked


def test_more_gpus_than_the_quota_has_are_refused_by_name(cluster: str):
    pod = _pod()
    pod["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "999"}}
    done = _dry_run(cluster, pod)
    assert done.returncode
    assert "exceeded quota: wm, requested: requests.nvidia.com/gpu=999" in done.stderr


def _allowed(kubectl: str, user: str, asked: dict[str, list[str]]) -> dict[str, set[str]]:
    """Verbs that the API server grants: all questions in one call, answered in their order."""
    questions = [(resource, verb) for resource, verbs in asked.items() for verb in verbs]
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": _attributes(resource, verb)},
        }
        for resource, verb in questions
    ]
    batch = {"apiVersion": "v1", "kind": "List", "items": reviews}
    done = _create(kubectl, batch, "--output=jsonpath={.status.allowed} ")
    assert done.returncode == 0, done.stderr
    answers = zip(questions, done.stdout.split(), strict=True)
    granted = [question for question, answer in answers if answer == "true"]
    return {resource: {v for r, v in granted if r == resource} for resource in asked}


def _attributes(resource: str, verb: str) -> Object:
    group, _, name = resource.partition("/")
    kind, _, sub = name.partition("/")
    return {"namespace": "wm", "group": group, "resource": kind, "subresource": sub, "verb": verb}


def _pod() -> Object:
    """A pod that meets *restricted* and says nothing of what it needs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try", "namespace": "wm"},
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "try",
                    "image": "registry.test/try",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def _dry_run(kubectl: str, item: Object) -> subprocess.CompletedProcess[str]:
    return _create(kubectl, item, "--output=json", "--dry-run=server")


def _create(kubectl: str, item: Object, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [kubectl, "create", "--filename=-", *flags]
    return subprocess.run(
        command, input=json.dumps(item), capture_output=True, text=True, check=False
    )
