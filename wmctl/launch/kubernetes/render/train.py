"""Train stages: a PyTorchJob. All that is peculiar to that kind is in this file and checks.py."""

from __future__ import annotations

from typing import Any

from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.checks import check_pytorchjob
from wmctl.launch.kubernetes.render.meta import KEEP_S
from wmctl.launch.kubernetes.render.pod import field
from wmctl.launch.kubernetes.render.stage import stage_metadata, stage_pod

CONTAINER = "pytorch"
"""The only name under which the operator finds the container to give its variables to."""

PORT = 23456
"""Of the first Worker's service, which the operator makes with this port."""


def render_train(
    job: StageJob, platform: Platform, owner_uid: str | None, active_deadline_s: int | None
) -> dict[str, Any]:
    """The PyTorchJob of an attempt to train; torchrun in each pod starts the processes.

    One pod is a Master alone. Several are Workers without a Master, for beside one they would each
    get an init container that Pod Security *restricted* refuses. They have no ``elasticPolicy``
    either: with it the operator calls the job a success as soon as any Worker ends, and deletes
    the others while they still write down what they made. All that it would add is where the
    Workers meet, which we say ourselves.
    """
    meta = stage_metadata(job, platform, owner_uid)
    member = field("metadata.labels['training.kubeflow.org/replica-index']")
    env: list[dict[str, Any]] = [{"name": "WM_MEMBER", "valueFrom": member}]
    if job.pods > 1:
        env += [
            {"name": "PET_RDZV_BACKEND", "value": "c10d"},
            {"name": "PET_RDZV_ENDPOINT", "value": f"{meta['name']}-worker-0:{PORT}"},
        ]
    template = stage_pod(job, platform, env=env, container=CONTAINER)
    if active_deadline_s:  # the operator does not act on the one that its runPolicy has
        template["spec"]["activeDeadlineSeconds"] = active_deadline_s
    replicas = {"replicas": job.pods, "restartPolicy": "Never", "template": template}
    body = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": meta,
        "spec": {
            "nprocPerNode": str(job.processes),
            "runPolicy": {
                "backoffLimit": 0,
                # The default keeps pods that still hold GPUs; logs of ended ones stay.
                "cleanPodPolicy": "Running",
                "ttlSecondsAfterFinished": KEEP_S,
            },
            "pytorchReplicaSpecs": {"Worker" if job.pods > 1 else "Master": replicas},
        },
    }
    check_pytorchjob(body)
    return body
