"""What the jobs of all three kinds of stages share."""

from __future__ import annotations

from typing import Any

from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.names import PARTS, labels, object_name
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.meta import metadata
from wmctl.launch.kubernetes.render.pod import SCRATCH, pod_template

# Kernels are compiled at the first step, where the root file system is read-only.
_COMPILER_CACHES = [
    {"name": "TRITON_CACHE_DIR", "value": f"{SCRATCH}/triton"},
    {"name": "TORCHINDUCTOR_CACHE_DIR", "value": f"{SCRATCH}/inductor"},
]


def stage_metadata(job: StageJob, platform: Platform, owner_uid: str | None) -> dict[str, Any]:
    """Metadata of an attempt's job."""
    marks = _labels(job, platform)
    if platform.queue:
        # On the job only: on a pod it would queue the pod a second time.
        marks["kueue.x-k8s.io/queue-name"] = platform.queue
    name = object_name(job.run, job.stage, job.attempt)
    return metadata(name, platform.namespace, marks, job.run, owner_uid)


def stage_pod(
    job: StageJob, platform: Platform, *, env: list[dict[str, Any]], container: str | None = None
) -> dict[str, Any]:
    """Template of an attempt's pods. ``env`` has ``WM_MEMBER``, the pod's index among them."""
    gpu = job.resources.gpu
    return pod_template(
        platform,
        PARTS[job.kind],
        labels=_labels(job, platform),
        # --once: a pod that a controller makes anew must not run a finished attempt again.
        args=["--spec", job.spec, "--once"],
        env=env + ([] if job.kind == "encode" else _COMPILER_CACHES),
        resources=job.resources,
        profile=platform.profile(gpu, job.stage) if gpu else None,
        gpus=job.resources.gpus or job.processes,
        container=container,
    )


def _labels(job: StageJob, platform: Platform) -> dict[str, str]:
    return labels(job.run, job.stage, job.attempt, job.kind, platform.version)
