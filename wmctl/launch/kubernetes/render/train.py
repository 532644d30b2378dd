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


def render_train(
    job: StageJob, platform: Platform, owner_uid: str | None, active_deadline_s: int | None
) -> dict[str, Any]:
    """The PyTorchJob of an attempt to train; torchrun in each pod starts the processes.

    One pod is a Master alone. Several are Workers that find each other by torchrun's own
    rendezvous: beside a Master they would each get an init container that Pod Security
    *restricted* refuses.
    """
    member = field("metadata.labels['training.kubeflow.org/replica-index']")
    replicas = {
        "replicas": job.pods,
        "restartPolicy": "Never",
        "template": stage_pod(job, platform, member={"valueFrom": member}, container=CONTAINER),
    }
    elastic = {"rdzvBackend": "c10d", "minReplicas": job.pods, "maxReplicas": job.pods}
    body = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": stage_metadata(job, platform, owner_uid),
        "spec": {
            "nprocPerNode": str(job.processes),
            **({"elasticPolicy": elastic | {"maxRestarts": 0}} if job.pods > 1 else {}),
            "runPolicy": {
                "backoffLimit": 0,
                # The default keeps pods that still hold GPUs; logs of ended ones stay.
                "cleanPodPolicy": "Running",
                **({"activeDeadlineSeconds": active_deadline_s} if active_deadline_s else {}),
                "ttlSecondsAfterFinished": KEEP_S,
            },
            "pytorchReplicaSpecs": {"Worker" if job.pods > 1 else "Master": replicas},
        },
    }
    check_pytorchjob(body)
    return body
