"""The conductor: a Job that is made anew until the run has ended."""

from __future__ import annotations

from typing import Any

from wm.errors import Exit
from wmctl.launch.kubernetes.names import conductor_name, run_labels
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.encode import PERMANENT, failure_policy
from wmctl.launch.kubernetes.render.meta import KEEP_S, metadata, sealed
from wmctl.launch.kubernetes.render.pod import pod_template
from wmctl.plan.model import Resources

LIVES = 100
"""How often it may die of what is not its own: with the cluster's pauses of up to six minutes
between two, longer than a night."""

ENDS = [code for code in PERMANENT if code != Exit.STORE_UNREACHABLE]
"""Exit codes after which it is not tried again: a store that was away may come back."""

_RESOURCES = Resources(cpus=0.1, memory="512Mi", disk="1Gi", shm="64Mi")


def render_conductor(run: str, platform: Platform, owner_uid: str | None) -> dict[str, Any]:
    """The Job that conducts a run; it alone may talk to the cluster's API."""
    labels = run_labels(run, "conductor", "conductor", platform.version)
    template = pod_template(
        platform,
        "conductor",
        labels=labels,
        args=["conduct", run],
        env=[{"name": "WM_STORE", "value": platform.store}],
        resources=_RESOURCES,
        priority="wm-conductor",
        token=True,
    )
    template["spec"]["restartPolicy"] = "Never"
    return sealed(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata(conductor_name(run), platform.namespace, labels, run, owner_uid),
            "spec": {
                "backoffLimit": LIVES,
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": failure_policy("conductor", ENDS),
                "ttlSecondsAfterFinished": KEEP_S,
                "template": template,
            },
        }
    )
