"""The object that owns a run's other objects: deleting it deletes them."""

from __future__ import annotations

import hashlib
from typing import Any

from wmctl.launch.kubernetes.names import owner_name, run_labels
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.meta import metadata, sealed
from wmctl.run.spec import RunSpec


def render_owner(spec: RunSpec, platform: Platform) -> dict[str, Any]:
    """An immutable ConfigMap that tells people what the run is and where it keeps its things."""
    labels = run_labels(spec.run, "run", "owner", platform.version)
    return sealed(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(owner_name(spec.run), platform.namespace, labels, spec.run, None),
            "immutable": True,
            "data": {
                "run": spec.run,
                "plan": spec.plan.name,
                "store": platform.store,
                "spec-sha256": hashlib.sha256(spec.model_dump_json().encode()).hexdigest(),
            },
        }
    )
