"""Arena stages: a Job of one pod, which the cluster does not try again."""

from __future__ import annotations

from typing import Any

from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.meta import KEEP_S
from wmctl.launch.kubernetes.render.stage import stage_metadata, stage_pod


def render_arena(
    job: StageJob, platform: Platform, owner_uid: str | None, active_deadline_s: int | None
) -> dict[str, Any]:
    """The Job of an attempt at an arena."""
    template = stage_pod(job, platform, env=[{"name": "WM_MEMBER", "value": "0"}])
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": stage_metadata(job, platform, owner_uid),
        "spec": {
            "backoffLimit": 0,
            **({"activeDeadlineSeconds": active_deadline_s} if active_deadline_s else {}),
            "ttlSecondsAfterFinished": KEEP_S,
            "template": template,
        },
    }
