"""From inside the cluster: whether its nodes can pull the images, and its pods reach the store.

One Job shows both. Its pod has a container per image: the conductor's runs ``wmctl doctor`` on the
store, the others end at once.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, get_args

from wm.errors import WmError
from wmctl.doctor.check import Row, Trouble, look
from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.diagnose import observe
from wmctl.launch.kubernetes.images import REASONS, pull_problem
from wmctl.launch.kubernetes.kinds import JOBS, PODS
from wmctl.launch.kubernetes.names import Part, run_labels
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.render.pod import pod_template
from wmctl.plan.model import Resources

LIMIT = 300.0
"""Seconds that all of it may take; most of them are for pulling the trainer's image."""
STORE_PATIENCE = 20
"""Seconds that trouble with the store is waited out: somebody is looking."""
POLL = 0.5
_CHECKS = ("scratch", "store", "identity")

Body = dict[str, Any]


class Inside:
    """Runs the Job and reads what became of it."""

    def __init__(self, api: Api, platform: Platform, *, limit: float = LIMIT) -> None:
        self._api, self._platform, self._limit = api, platform, limit
        self._name = f"wm-doctor-{secrets.token_hex(3)}"
        self._pod: Body = {}
        self._waits_for = "its pod has not been made yet"

    def rows(self) -> Iterator[Row]:
        """One line for the images and one for each check made inside."""
        pulled = look("images, on a node", self._pull)
        yield pulled
        try:
            if self._ended("conductor"):
                yield from self._report()
        finally:
            with suppress(WmError):  # it goes by itself after a while
                self._api.delete(JOBS, self._name)

    def _pull(self) -> str:
        began = time.monotonic()
        self._api.apply(render_doctor(self._platform, self._name, int(self._limit)))
        while True:
            self._look()
            statuses = self._statuses()
            troubles = [t for part in get_args(Part) if (t := _trouble(part, statuses))]
            if all(self._ended(part) for part in get_args(Part)):
                node = self._pod["spec"].get("nodeName", "")
                return f"pulled by {node} within {time.monotonic() - began:.0f} s"
            late = time.monotonic() - began > self._limit
            settled = all(self._ended(p) or _trouble(p, statuses) for p in get_args(Part))
            if troubles and (settled or late):
                raise Trouble("; ".join(troubles))
            if late:
                raise Trouble(f"no answer within {self._limit:.0f} s: {self._waits_for}")
            time.sleep(POLL)

    def _look(self) -> None:
        """Find the pod; Trouble where the cluster will not have it."""
        body = self._api.get(JOBS, self._name)
        pods, _ = self._api.list(PODS, f"job-name={self._name}")
        events = self._api.events(self._name)
        for pod in pods:
            self._pod = pod
            events += self._api.events(pod["metadata"]["name"])
        job = StageJob(run="doctor", stage="doctor", attempt=1, kind="arena", spec="")
        seen = observe(job, body, pods, events, time.time(), self._limit)
        if seen.steps:
            self._waits_for = seen.steps[-1].text
        if seen.phase == "ended" and not self._statuses():
            raise Trouble("; ".join(filter(None, (seen.message, seen.hint))))

    def _statuses(self) -> dict[str, Body]:
        statuses = self._pod.get("status", {}).get("containerStatuses") or []
        return {status["name"]: status for status in statuses}

    def _ended(self, part: str) -> bool:
        return "terminated" in self._statuses().get(part, {}).get("state", {})

    def _report(self) -> Iterator[Row]:
        """What ``wmctl doctor`` printed in the pod."""
        said = self._api.log(self._pod["metadata"]["name"], "conductor")
        try:
            rows = [Row.model_validate(row) for row in json.loads(said)]
        except ValueError:
            lines = said.strip().splitlines()
            errors = [line for line in lines if line.startswith("error: ")]
            text = f"it did not run: {(errors or lines or ['it said nothing'])[-1]}"
            rows = [Row(check="doctor", passed=False, text=text)]
        for row in rows:
            yield row.model_copy(update={"check": f"{row.check}, from inside"})


def render_doctor(platform: Platform, name: str, limit_s: int) -> Body:
    """The Job."""
    labels = run_labels("doctor", "conductor", "doctor", platform.version)
    template = pod_template(
        platform,
        "conductor",
        labels=labels,
        args=["doctor", "--json", *(word for check in _CHECKS for word in ("--only", check))],
        env=[{"name": "WM_STORE", "value": platform.store}],
        resources=Resources(cpus=0.1, memory="512Mi", disk="1Gi", shm="64Mi"),
        priority="wm-conductor",
    )
    [container] = template["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"] == "WM_STORE_PATIENCE":
            variable["value"] = str(STORE_PATIENCE)
    template["spec"]["containers"] += [
        {
            "name": part,
            "image": image,
            "command": ["true"],
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"memory": "64Mi"},
            },
            "securityContext": container["securityContext"],
        }
        for part, image in platform.images.items()
        if part != "conductor"
    ]
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": platform.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": limit_s,
            "ttlSecondsAfterFinished": 300,
            "template": template,
        },
    }


def _trouble(part: str, statuses: dict[str, Body]) -> str:
    """Why an image cannot be pulled, when that will not pass by itself."""
    waits = statuses.get(part, {}).get("state", {}).get("waiting", {})
    if waits.get("reason") not in REASONS:
        return ""
    found = pull_problem(waits["reason"], waits.get("message", ""), 0)
    return f"{part}: {found.text}; {found.advice}" if found.permanent else ""
