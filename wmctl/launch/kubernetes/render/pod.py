"""The pod that every part of a run lives in: unprivileged, alone, with scratch space."""

from __future__ import annotations

from typing import Any

from wmctl.launch.kubernetes.names import Part
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.profiles import Profile
from wmctl.plan.model import Resources

UID = 10001
"""User and group of every process; the images know it."""

PATIENCE_S = 300
"""Seconds that a stage waits out a store that does not answer."""

CREDENTIALS = "/var/run/wm"
SCRATCH = "/scratch"

_ANNOTATIONS = {
    # A pod that computes for hours is not to be moved for the sake of tidy nodes.
    "karpenter.sh/do-not-disrupt": "true",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    # A sidecar would outlive the stage, and the job with it.
    "sidecar.istio.io/inject": "false",
}


def pod_template(
    platform: Platform,
    part: Part,
    *,
    labels: dict[str, str],
    args: list[str],
    env: list[dict[str, Any]],
    resources: Resources,
    profile: Profile | None = None,
    gpus: int = 0,
    container: str | None = None,
    priority: str = "wm-stage",
    token: bool = False,
) -> dict[str, Any]:
    """Metadata and spec of a pod with one container, without a restart policy.

    ``container`` is the container's name (the part's by default), ``token`` whether it may talk to
    the cluster's API.
    """
    return {
        "metadata": {"labels": dict(labels), "annotations": dict(_ANNOTATIONS)},
        "spec": {
            "serviceAccountName": f"wm-{part}",
            "automountServiceAccountToken": token,
            "enableServiceLinks": False,
            "priorityClassName": priority,
            "terminationGracePeriodSeconds": platform.grace_s,
            **_placement(profile),
            **(
                {"imagePullSecrets": [{"name": platform.pull_secret}]}
                if platform.pull_secret
                else {}
            ),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": container or part,
                    "image": platform.images[part],
                    "imagePullPolicy": "IfNotPresent",
                    "args": args,
                    "envFrom": [{"configMapRef": {"name": "wm-store", "optional": True}}],
                    "env": _env(platform) + env,
                    "resources": _resources(resources, profile, gpus),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "volumeMounts": [
                        {"name": "scratch", "mountPath": SCRATCH},
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
                        {"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True},
                    ],
                }
            ],
            "volumes": [
                {"name": "scratch", "emptyDir": {"sizeLimit": resources.disk}},
                {"name": "tmp", "emptyDir": {"sizeLimit": resources.disk}},
                # The default of 64 MB ends in "Bus error" as soon as processes share tensors.
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": resources.shm}},
                # Absent where the cluster gives pods an identity of their own.
                {"name": "credentials", "secret": {"secretName": "wm-store", "optional": True}},
            ],
        },
    }


def field(path: str) -> dict[str, Any]:
    """Source of a variable: a field of the pod itself."""
    return {"fieldRef": {"fieldPath": path}}


def _env(platform: Platform) -> list[dict[str, Any]]:
    return [
        {"name": "WM_POD", "valueFrom": field("metadata.name")},
        {"name": "WM_NODE", "valueFrom": field("spec.nodeName")},
        {"name": "WM_GRACE", "value": str(platform.grace_s)},
        {"name": "WM_STORE_PATIENCE", "value": str(PATIENCE_S)},
        {"name": "AWS_SHARED_CREDENTIALS_FILE", "value": f"{CREDENTIALS}/credentials"},
        {"name": "HOME", "value": SCRATCH},
        {"name": "TMPDIR", "value": SCRATCH},
        # The user id has no entry in the image's passwd file, where some libraries look it up.
        {"name": "USER", "value": "wm"},
    ]


def _resources(resources: Resources, profile: Profile | None, gpus: int) -> dict[str, Any]:
    """Memory and disk reserved are the most it gets: nothing is killed for a neighbour's hunger.

    Processor cores have no upper limit: what the node has to spare speeds a stage up.
    """
    sizes = {"memory": resources.memory, "ephemeral-storage": resources.disk}
    limits: dict[str, Any] = dict(sizes)
    if profile is not None:
        limits[profile.resource] = gpus
    return {"requests": {"cpu": _cores(resources.cpus or 1), **sizes}, "limits": limits}


def _cores(cpus: float) -> str:
    """``2``, or ``1500m`` for a broken number, as Kubernetes writes it."""
    milli = max(1, round(cpus * 1000))
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def _placement(profile: Profile | None) -> dict[str, Any]:
    if profile is None:
        return {}
    wanted = {
        "nodeSelector": profile.node_selector,
        "tolerations": [dict(each) for each in profile.tolerations],
    }
    return {key: value for key, value in wanted.items() if value}
