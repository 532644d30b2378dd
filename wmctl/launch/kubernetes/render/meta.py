"""What every object of a run has: name, labels, owner, and the hash of what was asked for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wmctl.launch.kubernetes.names import check_name, owner_name

SPEC_SHA256 = "wm.dev/spec-sha256"
"""Annotation: hash of the object as it was rendered, without this annotation."""

KEEP_S = 7 * 24 * 3600
"""Seconds after which the cluster deletes a finished job on its own. The rule is ``wmctl gc``;
this is for runs that nobody comes back to, and long enough to read the pods' logs on Monday."""


def metadata(
    name: str, namespace: str, labels: dict[str, str], run: str, owner_uid: str | None
) -> dict[str, Any]:
    """Metadata of an object that dies with the run's owner, where that is known."""
    meta: dict[str, Any] = {"name": check_name(name), "namespace": namespace, "labels": labels}
    if owner_uid is not None:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner_name(run)}
        meta["ownerReferences"] = [
            owner | {"uid": owner_uid, "controller": False, "blockOwnerDeletion": False}
        ]
    return meta


def sealed(body: dict[str, Any]) -> dict[str, Any]:
    """The object with the annotation :data:`SPEC_SHA256`."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    meta = body["metadata"]
    annotations = meta.get("annotations", {}) | {SPEC_SHA256: digest}
    return body | {"metadata": meta | {"annotations": annotations}}
