"""Stages as Kubernetes jobs: one object per attempt, seen through a mirror of the API."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from wm.errors import WmError
from wm.stage.spec import Kind as StageKind
from wmctl.launch.base import Observation, Pod, StageJob
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.diagnose import observe
from wmctl.launch.kubernetes.errors import ApiTrouble
from wmctl.launch.kubernetes.kinds import JOBS, PODS, PYTORCHJOBS, Kind
from wmctl.launch.kubernetes.mirror import Mirror
from wmctl.launch.kubernetes.names import object_name
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.pods import pod_of
from wmctl.launch.kubernetes.render import render
from wmctl.launch.kubernetes.workload import is_over
from wmctl.run.spec import RunSpec

KINDS: dict[StageKind, Kind] = {"encode": JOBS, "train": PYTORCHJOBS, "arena": JOBS}

EVENTS_EVERY = 3.0
"""Seconds between looks at the events of an attempt that does not run yet."""
FIRST_ANSWER = 120.0
"""Seconds that the API server may take to answer at all."""
SPARE = 3600
"""Seconds past the run's deadline after which Kubernetes itself ends a job, should nobody else."""
LAST_LINES = 5000
"""Lines of a dead pod's log that are kept, where it could not ship them itself."""

Body = dict[str, Any]


class KubernetesLauncher:
    """Starts, observes and stops the jobs of one run in one namespace."""

    detached = True

    def __init__(
        self,
        api: Api,
        platform: Platform,
        spec: RunSpec,
        owner_uid: str,
        deadline: float | None = None,
    ) -> None:
        """Looks at the cluster once, so that what is missing there is said at once.

        ``deadline`` is the run's, seconds since the epoch.
        """
        self._api = api
        self._platform = platform
        self._owner_uid = owner_uid
        self._deadline = deadline
        self._kinds = tuple({KINDS[node.kind] for node in spec.nodes})
        self._mirror = Mirror(api, (PODS, *self._kinds), f"wm.dev/run={spec.run}")
        self._mirror.wait(FIRST_ANSWER)
        self._applied: dict[str, Body] = {}
        """Objects that the mirror does not show yet."""
        self._shown: set[str] = set()
        """Objects that the mirror has shown."""
        self._events: dict[str, tuple[float, list[Body]]] = {}
        self._ended: dict[str, Observation] = {}

    def __enter__(self) -> KubernetesLauncher:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking; the stages go on."""
        self._mirror.close()

    def start(self, job: StageJob) -> None:
        """Apply the attempt's object; one that is there already stays as it is."""
        seconds = _seconds_left(self._deadline, self._platform, time.time())
        body = render(job, self._platform, self._owner_uid, active_deadline_s=seconds)
        name = body["metadata"]["name"]
        if self._find(job) is None:
            self._applied[name] = self._api.apply(body)

    def observe(self, jobs: Sequence[StageJob]) -> list[Observation]:
        """What the cluster says of these attempts, without waiting for it."""
        return [seen for job in jobs if (seen := self._observe(job))]

    def stop(self, job: StageJob) -> None:
        """Delete the attempt's object, so that its pods get SIGTERM and their grace period. One
        that has ended stays, for ``kubectl logs``, until ``wmctl gc``."""
        body, pods = self._find(job), self._pods(job)
        if body is None or is_over(body) or "deletionTimestamp" in body["metadata"]:
            return
        if pods and not any(_lives(pod) for pod in pods):
            return
        self._delete(KINDS[job.kind], body["metadata"]["name"])

    def trouble(self) -> str:
        """Since when the API server does not answer."""
        return self._mirror.trouble()

    def sweep(self) -> list[Pod]:
        """Delete what has not ended; returns the stages' pods that are still there."""
        for kind in self._kinds:
            for body in self._mirror.objects(kind):
                labels, metadata = body["metadata"].get("labels", {}), body["metadata"]
                if "wm.dev/stage" not in labels or "deletionTimestamp" in metadata:
                    continue  # the conductor's own, or gone already
                pods = [p for p in self._mirror.objects(PODS) if _belongs(p, labels)]
                if any(_lives(pod) for pod in pods) or not (pods or is_over(body)):
                    self._delete(kind, metadata["name"])
        left = [p for p in self._mirror.objects(PODS) if _lives(p)]
        return [pod_of(p) for p in left if "wm.dev/stage" in p["metadata"].get("labels", {})]

    def _observe(self, job: StageJob) -> Observation | None:
        if job.name in self._ended:
            return self._ended[job.name]
        body = self._find(job)
        if body is None and object_name(job.run, job.stage, job.attempt) not in self._shown:
            return None
        pods, gone = self._pods(job), self._pods(job, gone=True)
        seen = observe(
            job,
            body,
            pods,
            self._recent_events(job, pods, gone),
            time.time(),
            self._platform.start_deadline_s,
            gone=gone,
        )
        if seen.phase == "ended":
            if seen.exit_code:
                seen = seen.model_copy(update={"output": self._last_lines(seen)})
            self._ended[job.name] = seen
        return seen

    def _find(self, job: StageJob) -> Body | None:
        name = object_name(job.run, job.stage, job.attempt)
        for body in self._mirror.objects(KINDS[job.kind]):
            if body["metadata"]["name"] == name:
                self._shown.add(name)
                self._applied.pop(name, None)
                return body
        return self._applied.get(name)

    def _pods(self, job: StageJob, *, gone: bool = False) -> list[Body]:
        """Its pods that are there, or as they were last seen before they went."""
        wanted = {"wm.dev/stage": job.stage, "wm.dev/attempt": str(job.attempt)}
        pods = self._mirror.gone(PODS) if gone else self._mirror.objects(PODS)
        return [pod for pod in pods if _belongs(pod, wanted)]

    def _recent_events(self, job: StageJob, pods: list[Body], gone: list[Body]) -> list[Body]:
        """Events tell why something waits; one that runs needs them only when its node is lost."""
        looked, events = self._events.get(job.name, (0.0, []))
        if time.monotonic() - looked < EVENTS_EVERY:
            return events
        names = [object_name(job.run, job.stage, job.attempt)]
        names += sorted({pod["metadata"]["name"] for pod in [*pods, *gone]})
        if pods and not gone and all(_is_well(pod) for pod in pods):
            events = []
        else:
            with contextlib.suppress(ApiTrouble):  # what was known before has to do
                events = [event for name in names for event in self._api.events(name)]
        self._events[job.name] = (time.monotonic(), events)
        return events

    def _last_lines(self, seen: Observation) -> str:
        for pod in seen.pods:
            if pod.started:
                # A pod that is gone took its log with it; what it shipped remains.
                with contextlib.suppress(WmError):
                    return self._api.log(pod.name, tail=LAST_LINES)
        return ""

    def _delete(self, kind: Kind, name: str) -> None:
        with contextlib.suppress(ApiTrouble):  # whoever asked will ask again
            self._api.delete(kind, name)


def _seconds_left(deadline: float | None, platform: Platform, now: float) -> int | None:
    """Kubernetes counts from the first look at a job, waiting for a node included."""
    if deadline is None:
        return None
    return int(max(0.0, deadline - now) + platform.start_deadline_s + SPARE)


def _belongs(pod: Body, labels: dict[str, str]) -> bool:
    own = pod["metadata"].get("labels", {})
    return all(own.get(k) == labels.get(k) for k in ("wm.dev/stage", "wm.dev/attempt"))


def _lives(pod: Body) -> bool:
    """Whether something of it runs or is yet to; its phase is behind its containers by a moment."""
    status = pod.get("status", {})
    if status.get("phase") in ("Succeeded", "Failed"):
        return False
    containers = status.get("containerStatuses", [])
    return not containers or any("terminated" not in c.get("state", {}) for c in containers)


def _is_well(pod: Body) -> bool:
    conditions = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True"
