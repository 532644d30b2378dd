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

WEBHOOK = "wm-webhook"
"""The Secret, where there is one, with the address that people are told at: key ``url``, and
perhaps ``format``. Stages have no use for it, so their pods do not see it."""
_WEBHOOK_AT = f"/var/run/{WEBHOOK}"

_RESOURCES = Resources(cpus=0.1, memory="512Mi", disk="1Gi", shm="64Mi")


def render_conductor(run: str, platform: Platform, owner_uid: str | None) -> dict[str, Any]:
    """The Job that conducts a run; it alone may talk to the cluster's API."""
    labels = run_labels(run, "conductor", "conductor", platform.version)
    template = pod_template(
        platform,
        "conductor",
        labels=labels,
        args=["conduct", run],
        env=[
            {"name": "WM_STORE", "value": platform.store},
            {"name": "WM_WEBHOOK_FILE", "value": f"{_WEBHOOK_AT}/url"},
        ],
        resources=_RESOURCES,
        priority="wm-conductor",
        token=True,
    )
    _mount_webhook(template["spec"])
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


def _mount_webhook(spec: dict[str, Any]) -> None:
    """As files: a variable would be shown by whatever prints the environment."""
    [container] = spec["containers"]
    container["volumeMounts"].append(
        {"name": "webhook", "mountPath": _WEBHOOK_AT, "readOnly": True}
    )
    spec["volumes"].append({"name": "webhook", "secret": {"secretName": WEBHOOK, "optional": True}})
