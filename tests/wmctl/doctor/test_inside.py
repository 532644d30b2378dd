"""The Job that looks from inside: what it is, and what is made of its end."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest

from wm.errors import InputMissing
from wmctl.doctor import inside as inside_module
from wmctl.doctor.inside import Inside, render_doctor
from wmctl.launch.kubernetes.kinds import JOBS, Kind
from wmctl.launch.kubernetes.platform import Platform

PARTS = ("conductor", "encoder", "evaluator", "trainer")
PLATFORM = Platform(
    store="s3://bucket/wm",
    images={part: f"registry.example/wm-{part}@sha256:{'0' * 64}" for part in PARTS},  # type: ignore[misc]
    version="0.1.0",
)
WELL = [{"check": "store", "passed": True, "text": "s3://bucket/wm can be read"}]


class Cluster:
    """Takes the Job, and shows the pod that was scripted."""

    def __init__(self, pod: dict[str, Any] | None, log: str = "", events: Any = ()) -> None:
        self.pod, self.said, self.told = pod, log, list(events)
        self.jobs: list[str] = []
        self.deleted: list[str] = []

    def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append(body["metadata"]["name"])
        return body

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        metadata = {"name": name, "creationTimestamp": "2026-11-22T10:00:00Z"}
        status = {"startTime": "2026-11-22T10:00:00Z"}
        spec = {"backoffLimit": 0}
        return {"kind": "Job", "metadata": metadata, "spec": spec, "status": status}

    def list(self, kind: Kind, labels: str) -> tuple[list[dict[str, Any]], str]:
        assert labels == f"job-name={self.jobs[-1]}"
        return [self.pod] if self.pod else [], "1"

    def events(self, name: str) -> list[dict[str, Any]]:
        about = {"involvedObject": {"name": name}, "metadata": {}, "type": "Warning"}
        return [event | about for event in self.told]

    def log(self, pod: str, container: str) -> str:
        assert container == "conductor"
        return self.said

    def delete(self, kind: Kind, name: str) -> bool:
        assert kind is JOBS
        self.deleted.append(name)
        raise InputMissing("it is gone already")


def pod(**waiting: str) -> dict[str, Any]:
    """All containers have ended but those that wait for a reason."""
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": None}}
    message = 'Back-off pulling image "x": ErrImagePull: x: not found'
    states: dict[str, dict[str, Any]] = {
        part: {"waiting": {"reason": waiting[part], "message": message}}
        if part in waiting
        else ended
        for part in PARTS
    }
    return {
        "metadata": {"name": "wm-doctor-pod", "creationTimestamp": "2026-11-22T10:00:00Z"},
        "spec": {"nodeName": "node1", "containers": [{"name": part} for part in PARTS]},
        "status": {
            "phase": "Pending" if waiting else "Succeeded",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": p, "state": state} for p, state in states.items()],
        },
    }


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside_module, "POLL", 0.01)


def rows(cluster: Cluster, limit: float = 0.2) -> list[tuple[str, bool, str]]:
    look = Inside(cluster, PLATFORM, limit=limit)  # type: ignore[arg-type]
    found = [(row.check, row.passed, row.text) for row in look.rows()]
    assert cluster.deleted == cluster.jobs != []
    return found


def test_all_is_well() -> None:
    images, store = rows(Cluster(pod(), json.dumps(WELL)))
    assert images == ("images, on a node", True, "pulled by node1 within 0 s")
    assert store == ("store, from inside", True, "s3://bucket/wm can be read")


def test_an_image_that_is_not_there_is_named_and_the_rest_is_told() -> None:
    images, store = rows(Cluster(pod(trainer="ImagePullBackOff"), json.dumps(WELL)))
    assert images[:2] == ("images, on a node", False)
    assert images[2].startswith("trainer: x: not found; push it: make build push")
    assert store[1]


def test_without_the_conductors_image_nothing_is_told_from_inside() -> None:
    [images] = rows(Cluster(pod(conductor="ImagePullBackOff")))
    assert "conductor: x: not found" in images[2]


def test_a_doctor_that_cannot_run_there() -> None:
    _, doctor = rows(Cluster(pod(), "error: no such option\nhint: wmctl doctor --help\n"))
    assert doctor == ("doctor, from inside", False, "it did not run: error: no such option")


def test_a_pod_that_the_namespace_refuses() -> None:
    words = 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"'
    [images] = rows(Cluster(None, events=[{"reason": "FailedCreate", "message": words}]))
    assert not images[1]
    assert "violates PodSecurity" in images[2]


def test_a_pod_that_never_comes() -> None:
    [images] = rows(Cluster(None, events=[]))
    assert not images[1]
    assert "did not start" in images[2] or "no answer within" in images[2]


def test_the_job_is_as_strict_as_a_stages() -> None:
    body = render_doctor(PLATFORM, "wm-doctor-abc", 300)
    kubernetes_validate.validate(body, "1.37", strict=True)
    spec = body["spec"]["template"]["spec"]
    assert {c["name"]: c["image"] for c in spec["containers"]} == PLATFORM.images
    assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in spec["containers"])
    assert not spec["automountServiceAccountToken"]
    variables = spec["containers"][0]["env"]
    assert {"name": "WM_STORE_PATIENCE", "value": "20"} in variables
    assert len({v["name"] for v in variables}) == len(variables)
