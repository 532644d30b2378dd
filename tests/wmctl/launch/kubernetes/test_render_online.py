"""Every golden object before a real API server, which is asked what it would do with it.

Needs a cluster: ``KUBECONFIG`` set, and the right to make a namespace. Nothing is started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.difference import difference
from tests.support.pytorchjobs import FAULTS, faulty
from wm.errors import WmError
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.errors import NotServed, Rejected
from wmctl.launch.kubernetes.kinds import NAMESPACES

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))
NAMES = [path.stem for path in GOLDEN]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A namespace that enforces Pod Security *restricted*, with the service accounts."""
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no cluster: KUBECONFIG is not set")
    api = Api.connect(f"wm-test-render-{os.getpid()}")
    try:
        api.server_version()
    except WmError as error:
        pytest.skip(f"no cluster: {error.message}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"name": api.namespace, "labels": labels}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace})
    try:
        for part in ("encoder", "trainer", "evaluator", "conductor"):
            account = {"name": f"wm-{part}", "namespace": api.namespace}
            api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        yield api
    finally:
        api.delete(NAMESPACES, api.namespace)


def golden(name: str, api: Api) -> dict[str, Any]:
    [path] = [path for path in GOLDEN if path.stem == name]
    body: dict[str, Any] = yaml.safe_load(path.read_text())
    body["metadata"]["namespace"] = api.namespace
    return body


def apply(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return api.apply(body, dry_run=True)
    except NotServed as error:
        pytest.skip(error.message)


def templates(body: dict[str, Any]) -> list[dict[str, Any]]:
    spec = body.get("spec", {})
    replicas = spec.get("pytorchReplicaSpecs", {}).values()
    return [each["template"] for each in [*replicas, spec] if "template" in each]


@pytest.mark.parametrize("name", NAMES)
def test_the_server_takes_it_as_it_is(name: str, api: Api) -> None:
    body = golden(name, api)
    assert difference(apply(api, body), body) == ""


@pytest.mark.parametrize("name", [name for name in NAMES if name != "owner"])
def test_restricted_admits_its_pods(name: str, api: Api) -> None:
    body = golden(name, api)
    [template] = templates(body)
    del template["spec"]["priorityClassName"]  # of the whole cluster: not this test's to make
    meta = template["metadata"] | {"name": name, "namespace": api.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
    assert api.apply(pod, dry_run=True)["metadata"]["name"] == name


def test_restricted_is_enforced_here(api: Api) -> None:
    [template] = templates(golden("arena", api))
    del template["spec"]["priorityClassName"], template["spec"]["securityContext"]
    meta = {"name": "unsafe", "namespace": api.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
    with pytest.raises(Rejected, match="violates PodSecurity"):
        api.apply(pod, dry_run=True)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_webhook_refuses_what_our_checks_refuse(fault: str, api: Api) -> None:
    body = faulty(fault)
    body["metadata"]["namespace"] = api.namespace
    with pytest.raises(Rejected, match="admission webhook"):
        apply(api, body)
