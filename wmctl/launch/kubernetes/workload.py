"""The job object of an attempt: whether a controller took it up, and what it decided."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from wmctl.launch.kubernetes.pods import condition
from wmctl.launch.kubernetes.times import epoch

Body = dict[str, Any]

_SUCCEEDED, _FAILED = ("Complete", "Succeeded"), ("Failed",)
"""Conditions of a Job and of a PyTorchJob."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What a controller decided about a job."""

    succeeded: bool
    reason: str
    text: str
    at: float

    @property
    def too_late(self) -> bool:
        """Ended by its own deadline. A PyTorchJob says so only in its message."""
        return "longer than specified deadline" in self.text

    @property
    def exit_code(self) -> int | None:
        """The exit code that a Job's failure policy names."""
        found = re.search(r"failed with exit code (\d+)", self.text)
        return int(found[1]) if found else None


def fate(body: Body) -> Fate | None:
    """The end of a job, None while it has none."""
    for kind in (*_SUCCEEDED, *_FAILED):
        found = condition(body, kind)
        if found.get("status") == "True":
            at = epoch(found.get("lastTransitionTime"))
            reason, text = found.get("reason", ""), found.get("message", "")
            return Fate(kind in _SUCCEEDED, reason, text, at)
    return None


def is_over(body: Body) -> bool:
    """Whether a controller has decided that a job succeeded or failed."""
    return fate(body) is not None


def is_suspended(body: Body) -> bool:
    """It waits in a queue (Kueue), or somebody paused it."""
    spec = body["spec"]
    return bool(spec.get("suspend") or spec.get("runPolicy", {}).get("suspend"))


def is_retried(body: Body) -> bool:
    """Kubernetes itself makes its pods anew, so that the end of one decides nothing."""
    return bool(body["kind"] == "Job" and body["spec"].get("backoffLimit", 6) != 0)


def created_at(body: Body) -> float:
    """When it was submitted."""
    return epoch(body["metadata"].get("creationTimestamp"))


def taken_up_at(body: Body) -> float:
    """When a controller took it up, after any wait in a queue; 0 before it."""
    started = body.get("status", {}).get("startTime")
    return epoch(started or condition(body, "Created").get("lastTransitionTime"))
