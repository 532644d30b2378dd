"""The manifests as people apply them, and a cluster that has them where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.k8s.manifests import K8S, Object

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture(scope="session")
def kubectl() -> str:
    """Path of kubectl; tests that need it are skipped where there is none."""
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("kubectl is not installed")
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of k8s/ as it is before any image was pushed."""
    return Path(shutil.copytree(K8S, tmp_path / "k8s", ignore=shutil.ignore_patterns("images")))


@pytest.fixture
def pushed(tree: Path) -> Path:
    """A copy of k8s/ as it is after `make push`."""
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [{"name": "wm-store", "newName": "registry.test/wm-store", "digest": DIGEST}],
    }
    (tree / "images").mkdir()
    (tree / "images" / "kustomization.yaml").write_text(yaml.safe_dump(component))
    return tree


@pytest.fixture
def render(kubectl: str, pushed: Path) -> Callable[[str], list[Object]]:
    """Objects of an overlay, as `kubectl apply -k` would send them."""

    def build(overlay: str) -> list[Object]:
        command = [kubectl, "kustomize", str(pushed / "overlays" / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    return build


@pytest.fixture(scope="session")
def cluster(kubectl: str) -> str:
    """Path of kubectl, for a cluster on which the dev overlay was applied."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    command = [kubectl, "get", "role", "wm-conductor", "--namespace", "wm", "--output", "name"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("it lacks the manifests: kubectl apply --server-side -k k8s/overlays/dev")
    return kubectl
