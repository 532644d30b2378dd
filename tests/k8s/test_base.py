"""What the base promises, read from its files: no kubectl and no cluster."""

from __future__ import annotations

from tests.k8s.manifests import load, named, rules

BASE = load("base/*.yaml")

WORK = "get list watch create patch delete"


def test_pod_security_restricted_is_enforced():
    labels = named(BASE, "Namespace", "wm")["metadata"]["labels"]
    levels = {k.partition("/")[2]: v for k, v in labels.items()}
    assert levels == {
        "enforce": "restricted",
        "enforce-version": "v1.34",
        "warn": "restricted",
        "warn-version": "latest",
        "audit": "restricted",
        "audit-version": "latest",
    }


def test_stages_have_an_identity_and_neither_token_nor_role():
    accounts = {
        o["metadata"]["name"]: o.get("automountServiceAccountToken", True)
        for o in BASE
        if o["kind"] == "ServiceAccount"
    }
    assert accounts == {
        "wm-encoder": False,
        "wm-trainer": False,
        "wm-evaluator": False,
        "wm-conductor": True,
    }
    bindings = [o for o in BASE if o["kind"].endswith("RoleBinding")]
    assert [s for b in bindings for s in b["subjects"]] == [
        {"kind": "ServiceAccount", "name": "wm-conductor"}
    ]


def test_the_conductor_may_do_exactly_this():
    assert rules(named(BASE, "Role", "wm-conductor")) == {
        "batch/jobs": WORK.removeprefix("get "),
        "kubeflow.org/pytorchjobs": WORK.removeprefix("get "),
        "/pods": "list watch",
        "/pods/log": "get",
        "/events": "list",
        "/configmaps": "get",
    }


def test_who_submits_may_do_exactly_this():
    assert rules(named(BASE, "Role", "wm-user")) == {
        "/configmaps": WORK,
        "batch/jobs": WORK,
        "kubeflow.org/pytorchjobs": WORK,
        "/pods": "get list watch",
        "/pods/log": "get",
        "/events": "list",
        "/resourcequotas": "get list",
        "/limitranges": "get list",
    }
    assert rules(named(BASE, "ClusterRole", "wm-user-nodes")) == {"/nodes": "get list"}


def test_the_quota_bounds_gpus_and_objects_and_demands_no_limits():
    hard = named(BASE, "ResourceQuota", "wm")["spec"]["hard"]
    assert set(hard) == {
        "pods",
        "requests.cpu",
        "requests.memory",
        "requests.nvidia.com/gpu",
        "count/jobs.batch",
        "count/pytorchjobs.kubeflow.org",
    }
    assert all(isinstance(quantity, str) for quantity in hard.values())


def test_a_forgotten_request_gets_a_default_and_nothing_is_throttled():
    [limits] = named(BASE, "LimitRange", "wm")["spec"]["limits"]
    assert limits["default"] == {"memory": limits["defaultRequest"]["memory"]}
    assert set(limits) == {"type", "default", "defaultRequest"}


def test_only_a_conductor_may_make_room():
    stage, conductor = (named(BASE, "PriorityClass", n) for n in ("wm-stage", "wm-conductor"))
    assert (stage["value"], stage["preemptionPolicy"]) == (1000, "Never")
    assert (conductor["value"], conductor["preemptionPolicy"]) == (2000, "PreemptLowerPriority")
    assert not any(c.get("globalDefault") for c in (stage, conductor))


def test_the_network_is_shut_but_for_what_is_named():
    policies = {o["metadata"]["name"]: o["spec"] for o in BASE if o["kind"] == "NetworkPolicy"}
    assert policies.pop("default-deny") == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    ports = {
        (name, rule_port["protocol"], rule_port.get("port"))
        for name, spec in policies.items()
        for rule in spec.get("egress", []) + spec.get("ingress", [])
        for rule_port in rule["ports"]
    }
    assert ports == {
        ("dns", "UDP", 53),
        ("dns", "TCP", 53),
        ("conductor-to-api-server", "TCP", 443),
        ("conductor-to-api-server", "TCP", 6443),
        ("trainer-to-trainer", "TCP", None),
    }
    trainers = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "trainer"}}}
    mesh = policies["trainer-to-trainer"]
    assert [mesh["ingress"][0]["from"], mesh["egress"][0]["to"]] == [[trainers], [trainers]]
    assert mesh["podSelector"] == trainers["podSelector"]
