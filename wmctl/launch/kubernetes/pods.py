"""One pod as the API gives it: how far it is, how it ended, and who ended it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wm.errors import Exit
from wmctl.launch.base import Pod
from wmctl.launch.kubernetes.times import epoch

LOST_AFTER = 60.0
"""Seconds after the end of its grace period from which a pod that was deleted and is still there
is counted as lost with its node."""

Body = dict[str, Any]

_DISRUPTIONS = {
    "EvictionByEvictionAPI": "Evicted",
    "PreemptionByScheduler": "Preempted",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
    "TerminationByKubelet": "Evicted",
}
"""Reason of the condition DisruptionTarget -> the word people use."""

_OWN_LIMIT = "exceeds the limit", "ephemeral storage limit", "exceeds the total limit"
"""The kubelet's words where a pod was evicted for what it used itself, not for its neighbours."""


@dataclass(frozen=True, slots=True)
class End:
    """How a pod ended."""

    pod: str
    code: int
    """In the exit-code contract."""
    reason: str
    """``Completed``, ``Error``, ``OOMKilled``, ``Evicted``, ``Preempted``, ``NodeLost``,
    ``Deleted``, ``StartError`` …"""
    text: str = ""
    """The platform's own words."""
    at: float = 0

    @property
    def by_platform(self) -> bool:
        """The cluster did it, so that it is a cause and never a consequence of another's end."""
        return self.reason not in ("Completed", "Error", "Deleted")


def end_of(pod: Body, now: float, *, gone: bool = False) -> End | None:
    """How a pod ended, None while it may still run. ``gone``: it is not there any more."""
    terminated = _terminated(pod)
    if terminated is None and not gone and not _failed(pod) and not _is_lost(pod, now):
        return None
    name, code = pod["metadata"]["name"], (terminated or {}).get("exitCode", Exit.KILLED)
    at = epoch((terminated or {}).get("finishedAt")) or _deleted_at(pod) or now
    if memory := _out_of_memory(pod):
        return End(name, Exit.KILLED, "OOMKilled", memory.get("message", ""), at)
    reason, text = _disruption(pod, terminated, now)
    if reason:
        own = any(words in text for words in _OWN_LIMIT)
        # Whatever it said while it was being thrown out, it deserves another try; unless it was
        # for its own hunger, which it would have again.
        code = code if code == Exit.OK or code >= 128 else Exit.KILLED
        return End(name, Exit.BAD_CONFIG if own else code, reason, text, at)
    if terminated is None:
        status = pod.get("status", {})
        return End(name, code, status.get("reason") or "Deleted", status.get("message", ""), at)
    reason, text = terminated.get("reason") or "Error", terminated.get("message") or ""
    if reason in ("StartError", "ContainerCannotRun"):
        code = Exit.BAD_CONFIG  # the runtime's 128 would say "try again"
    elif code != Exit.OK and pod["metadata"].get("deletionTimestamp"):
        reason = "Deleted"
    return End(name, code, reason, text, at)


def pod_of(pod: Body, *, gone: bool = False) -> Pod:
    """What people are shown of a pod."""
    status, state = pod.get("status", {}), _state(pod)
    terminated = state.get("terminated") or {}
    started = state.get("running") or terminated
    phase = status.get("phase", "")
    if phase in ("Running", "Pending") and (gone or pod["metadata"].get("deletionTimestamp")):
        phase = "Deleted" if gone else "Terminating"
    return Pod(
        name=pod["metadata"]["name"],
        node=pod.get("spec", {}).get("nodeName", ""),
        phase=phase,
        gpus=_gpus(pod),
        started=epoch(started.get("startedAt")),
        ended=epoch(terminated.get("finishedAt")) or (_deleted_at(pod) if gone else 0),
        exit_code=terminated.get("exitCode"),
        reason=(_out_of_memory(pod) or terminated).get("reason") or status.get("reason") or "",
        image=_main(pod).get("imageID", "").removeprefix("docker-pullable://"),
    )


def condition(body: Body, kind: str) -> Body:
    """The condition of that type, or an empty one."""
    conditions = body.get("status", {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def waiting(pod: Body) -> Body:
    """The state that keeps the pod from running: reason and message; empty when none does.

    Init containers come first, as they run first.
    """
    for each in [*_init(pod), _main(pod)]:
        state = each.get("state", {})
        if "waiting" in state:
            return dict(state["waiting"])
    return {}


def has_image(pod: Body) -> bool:
    """Whether the main container's image is on its node."""
    state = _state(pod)
    if "running" in state or "terminated" in state or _main(pod).get("imageID"):
        return True
    # These are met after the pull.
    reason = state.get("waiting", {}).get("reason", "")
    return str(reason).startswith(("CreateContainer", "RunContainer", "PostStart"))


def started_at(pod: Body) -> float:
    """Start of the main container; 0 before it."""
    state = _state(pod)
    return epoch((state.get("running") or state.get("terminated") or {}).get("startedAt"))


def _main(pod: Body) -> Body:
    """Status of the first container: the one that does the work."""
    name = pod.get("spec", {}).get("containers", [{}])[0].get("name")
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((s for s in statuses if s["name"] == name), {})


def _init(pod: Body) -> list[Body]:
    return pod.get("status", {}).get("initContainerStatuses") or []


def _state(pod: Body) -> Body:
    return _main(pod).get("state") or {}


def _terminated(pod: Body) -> Body | None:
    failed = [s for s in _init(pod) if (s["state"].get("terminated") or {}).get("exitCode")]
    if failed and _failed(pod):
        return dict(failed[0]["state"]["terminated"])
    return _state(pod).get("terminated")


def _failed(pod: Body) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _out_of_memory(pod: Body) -> Body | None:
    """The state of any container that was killed for want of memory, also at exit 0."""
    for status in _init(pod) + (pod.get("status", {}).get("containerStatuses") or []):
        for state in (status.get("state") or {}, status.get("lastState") or {}):
            if (state.get("terminated") or {}).get("reason") == "OOMKilled":
                return dict(state["terminated"])
    return None


def _disruption(pod: Body, terminated: Body | None, now: float) -> tuple[str, str]:
    """Who threw it out and why; empty when nobody did."""
    status, target = pod.get("status", {}), condition(pod, "DisruptionTarget")
    if status.get("reason"):
        return status["reason"], status.get("message", "")
    if target.get("status") == "True":
        reason = target.get("reason", "")
        return _DISRUPTIONS.get(reason, reason or "Evicted"), target.get("message", "")
    if terminated is None and _is_lost(pod, now):
        return "NodeLost", f"node {pod['spec'].get('nodeName', '')} does not answer"
    return "", ""


def _is_lost(pod: Body, now: float) -> bool:
    """A kubelet that answers would have ended it by now (the time stamp includes the grace)."""
    deleted = _deleted_at(pod)
    return bool(deleted) and now > deleted + LOST_AFTER


def _deleted_at(pod: Body) -> float:
    return epoch(pod["metadata"].get("deletionTimestamp"))


def _gpus(pod: Body) -> int:
    """GPUs that it holds, of whatever make."""
    containers = pod.get("spec", {}).get("containers", [])
    limits = [c.get("resources", {}).get("limits", {}) for c in containers]
    return sum(int(n) for limit in limits for name, n in limit.items() if "gpu" in name)
