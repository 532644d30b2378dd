"""The overlays as kubectl builds them, every object against the schema of its kind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.k8s.conftest import DIGEST
from tests.k8s.manifests import Object, named

Render = Callable[[str], list[Object]]
KUBERNETES = "1.34"
OVERLAYS = ("dev", "production")
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "PriorityClass"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_valid_and_in_its_place(render: Render, overlay: str):
    objects = render(overlay)
    assert len(objects) > 15
    for item in objects:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)
        metadata = item["metadata"]
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "wm", metadata["name"]
        expected = None if item["kind"] in CLUSTER_SCOPED else "wm"
        assert metadata.get("namespace") == expected, metadata["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_config_maps_hold_no_secret(render: Render, overlay: str):
    config = [o for o in render(overlay) if o["kind"] == "ConfigMap"]
    assert [c["metadata"]["name"] for c in config] == ["wm-store"]
    for item in config:
        assert not re.search("key|secret|token|password", yaml.safe_dump(item["data"]), re.I)


def test_dev_runs_the_pushed_store_with_its_keys(render: Render):
    objects = render("dev")
    store = named(objects, "StatefulSet", "wm-store")
    [container] = store["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.test/wm-store@{DIGEST}"
    assert set(named(objects, "Secret", "wm-store")["data"]) == {"credentials", "s3.json"}
    assert named(objects, "ConfigMap", "wm-store")["data"] == {
        "AWS_ENDPOINT_URL": "http://wm-store.wm.svc:8333",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def test_production_has_no_store_and_no_secret(render: Render):
    kinds = {o["kind"] for o in render("production")}
    assert kinds.isdisjoint({"Secret", "StatefulSet", "Service", "Pod"})


def test_the_overlays_change_the_quota_and_keep_what_they_do_not_name(render: Render):
    hard = {o: named(render(o), "ResourceQuota", "wm")["spec"]["hard"] for o in OVERLAYS}
    assert set(hard["dev"]) == set(hard["production"])
    gpus = {o: int(h["requests.nvidia.com/gpu"]) for o, h in hard.items()}
    assert gpus == {"dev": 16, "production": 32}
    assert hard["dev"]["count/jobs.batch"] == hard["production"]["count/jobs.batch"]


def test_identity_on_eks_gives_every_account_a_role_when_it_is_switched_on(
    render: Render, pushed: Path
):
    file = pushed / "overlays" / "production" / "kustomization.yaml"
    off = "  # - path: identity-eks.yaml"
    text = file.read_text()
    assert off in text
    file.write_text(text.replace(off, "  - path: identity-eks.yaml"))
    accounts = [o for o in render("production") if o["kind"] == "ServiceAccount"]
    roles = {
        o["metadata"]["name"]: o["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        for o in accounts
    }
    assert len(roles) == 4
    assert all(arn.endswith(f":role/{name}") for name, arn in roles.items())


def test_applying_dev_before_any_push_is_refused_and_the_place_says_why(kubectl: str, tree: Path):
    overlay = tree / "overlays" / "dev"
    command = [kubectl, "kustomize", str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode
    assert str(tree / "images") in done.stderr
    [line] = [s for s in (overlay / "kustomization.yaml").read_text().splitlines() if "images" in s]
    assert "make build push" in line
