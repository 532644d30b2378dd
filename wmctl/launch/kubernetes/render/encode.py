"""Encode stages: an Indexed Job, one index per member."""

from __future__ import annotations

from typing import Any

from wm.errors import Exit
from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.meta import KEEP_S
from wmctl.launch.kubernetes.render.pod import field
from wmctl.launch.kubernetes.render.stage import stage_metadata, stage_pod

PERMANENT = [int(code) for code in Exit if 64 <= code < 128]
"""Exit codes after which another try would end the same way."""


def failure_policy(container: str, permanent: list[int]) -> dict[str, Any]:
    """The exit-code contract in a Job's words; the first rule that fits decides."""
    codes = {"containerName": container, "operator": "In", "values": permanent}
    return {
        "rules": [
            # Preempted, evicted, its node drained: no fault of its own, made anew and not counted.
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {"action": "FailJob", "onExitCodes": codes},
        ]
    }


def render_encode(
    job: StageJob, platform: Platform, owner_uid: str | None, active_deadline_s: int | None
) -> dict[str, Any]:
    """The Job of an attempt to encode."""
    member = field("metadata.annotations['batch.kubernetes.io/job-completion-index']")
    template = stage_pod(job, platform, env=[{"name": "WM_MEMBER", "valueFrom": member}])
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": stage_metadata(job, platform, owner_uid),
        "spec": {
            "completionMode": "Indexed",
            "completions": job.pods,
            "parallelism": job.pods,
            # Finished shards are kept, so a member may try again on its own; none may be missing.
            "backoffLimitPerIndex": 2,
            "maxFailedIndexes": 0,
            "podReplacementPolicy": "Failed",
            # A pod that was killed most often lacked memory: the conductor decides what comes next.
            "podFailurePolicy": failure_policy("encoder", [*PERMANENT, int(Exit.KILLED)]),
            **({"activeDeadlineSeconds": active_deadline_s} if active_deadline_s else {}),
            "ttlSecondsAfterFinished": KEEP_S,
            "template": template,
        },
    }
