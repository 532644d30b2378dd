"""Reading manifests in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).resolve().parents[2] / "k8s"

Object = dict[str, Any]


def load(pattern: str) -> list[Object]:
    """Every document of the files below k8s/ that match; kustomizations are no objects."""
    files = [f for f in sorted(K8S.glob(pattern)) if f.name != "kustomization.yaml"]
    assert files, f"no file {pattern} in {K8S}"
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of that kind and name."""
    [found] = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


def rules(role: Object) -> dict[str, str]:
    """What a role allows: ``{"batch/jobs": "get list"}``; the core group has an empty name."""
    return {
        f"{group}/{resource}": " ".join(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
