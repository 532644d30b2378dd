"""The phase tree of an attempt: how far it is, and what keeps it from the next step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wmctl.launch.base import Step
from wmctl.launch.kubernetes.events import event_time
from wmctl.launch.kubernetes.images import REASONS, pull_problem
from wmctl.launch.kubernetes.pods import condition, end_of, has_image, started_at, waiting
from wmctl.launch.kubernetes.problems import Problem, problem
from wmctl.launch.kubernetes.times import epoch
from wmctl.launch.kubernetes.workload import created_at, is_suspended, taken_up_at

SUBMITTED = "submitted"
ADMITTED = "admitted"
SCHEDULED = "scheduled"
PULLED = "image pulled"
RUNNING = "running"
DONE = "done"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What the cluster says of an attempt that has not ended."""

    body: Body
    members: int
    """Pods that there should be."""
    pods: Sequence[Body]
    """All that are there, ended ones too."""
    events: Sequence[Body]
    """About the job and its pods, oldest first."""
    now: float

    def open_pods(self) -> list[Body]:
        """Pods that have not ended."""
        return [pod for pod in self.pods if end_of(pod, self.now) is None]

    def warning(self, about: str, *reasons: str) -> tuple[str, str]:
        """Reason and message of the newest warning about an object, of these reasons if any are
        given; empty where there is none."""
        for event in reversed(self.events):
            wanted = not reasons or event.get("reason") in reasons
            if event.get("type") == "Warning" and wanted and _about(event) == about:
                return str(event.get("reason", "")), str(event.get("message", ""))
        return "", ""


def climb(view: View) -> tuple[list[Step], Problem | None]:
    """Steps up to the first that is not done, and what that one waits for.

    Without a problem the attempt runs.
    """
    steps = [Step(name=SUBMITTED, state="done", since=created_at(view.body))]
    for name, look in _STEPS:
        found = look(view)
        if isinstance(found, Problem):
            steps.append(
                Step(
                    name=name,
                    state="waiting",
                    since=found.since,
                    text=found.text,
                    advice=found.advice,
                )
            )
            return steps, found
        steps.append(Step(name=name, state="done", since=found))
    steps.append(_done(view))
    return steps, None


def fall(view: View, *, ran: bool, good: bool, text: str, advice: str) -> list[Step]:
    """The tree of an attempt that has ended: at its last step, or before it ever ran."""
    steps, found = climb(view)
    state: Literal["done", "failed"] = "done" if good else "failed"
    if found and not ran:
        last = steps[-1].model_copy(update={"state": state, "text": text, "advice": advice})
        return [*steps[:-1], last]
    # What had been reached is not asked of pods that may be gone.
    known = {step.name: step for step in steps if step.state == "done"}
    names = [SUBMITTED, *(name for name, _ in _STEPS)]
    reached = [known.get(name) or Step(name=name, state="done") for name in names]
    return [*reached, Step(name=DONE, state=state, since=view.now, text=text, advice=advice)]


def _admitted(view: View) -> float | Problem:
    body, since = view.body, created_at(view.body)
    if is_suspended(body):
        words = [e.get("message", "") for e in view.events if _about(e) == _name(body)]
        text = words[-1] if words else "it waits in the queue"
        advice = "it starts when the queue has room: kubectl get workloads"
        return Problem("Suspended", text, advice, since=since, patient=True)
    if len(view.pods) >= view.members:
        return max(since, taken_up_at(body))
    reason, refused = view.warning(_name(body), "FailedCreate", "FailedCreatePod")
    if refused:
        return problem(reason, refused, since=taken_up_at(body) or since)
    if not taken_up_at(body) and body["kind"] == "PyTorchJob":
        text = "the training operator has not taken it up"
        advice = "see whether it runs: kubectl -n kubeflow get pods"
        return Problem("NotTakenUp", text, advice, since=since)
    return Problem("NoPods", "its pods have not been made yet", since=since)


def _scheduled(view: View) -> float | Problem:
    for pod in view.open_pods():
        state = condition(pod, "PodScheduled")
        if state.get("status") != "True":
            text = state.get("message") or "the scheduler has not looked at it yet"
            since = epoch(state.get("lastTransitionTime"))
            return problem(state.get("reason", "Pending"), text, since=since or _made(pod))
    return max(map(_scheduled_at, view.pods), default=0)


def _pulled(view: View) -> float | Problem:
    for pod in view.open_pods():
        if not has_image(pod):
            return _why_no_image(view, pod)
    return 0


def _why_no_image(view: View, pod: Body) -> Problem:
    name, since, state = pod["metadata"]["name"], _scheduled_at(pod), waiting(pod)
    reason, text = state.get("reason", ""), state.get("message", "")
    if reason in REASONS:
        # A kubelet before 1.32 tells the cause in an event only.
        causes = [e["message"] for e in view.events if _about(e) == name and _is_cause(e)]
        if ": " not in text and causes:
            text = causes[-1]
        return pull_problem(reason, text or reason, since)
    kind, trouble = view.warning(name)
    if trouble:
        return problem(kind, trouble, since=since)
    words = [e["message"] for e in view.events if _about(e) == name and e["reason"] == "Pulling"]
    text = words[-1] if words else text or "its node prepares it"
    return Problem(reason or "ContainerCreating", text, since=since)


def _running(view: View) -> float | Problem:
    for pod in view.open_pods():
        if not started_at(pod):
            state = waiting(pod)
            reason, text = state.get("reason", "Starting"), state.get("message", "")
            words = text or view.warning(pod["metadata"]["name"])[1] or "its container starts"
            return problem(reason, words, since=_scheduled_at(pod))
    return min(filter(None, map(started_at, view.pods)), default=0)


def _done(view: View) -> Step:
    """The last step of an attempt that runs: nothing to say, unless its node is in trouble."""
    for pod in view.open_pods():
        ready = condition(pod, "Ready")
        name, node = pod["metadata"]["name"], pod.get("spec", {}).get("nodeName", "")
        # A kubelet that answers gives a reason for "not ready"; the cluster's controller does not.
        if ready.get("status") == "False" and ready.get("reason", "") in ("", "NodeStatusUnknown"):
            text = view.warning(name, "NodeNotReady")[1] or "Node is not ready"
            return Step(
                name=DONE,
                state="waiting",
                since=epoch(ready.get("lastTransitionTime")),
                text=f"node {node}: {text}",
                advice="if it does not come back, the pod is given up and the next attempt goes on "
                f"from the saved state; kubectl describe node {node}",
            )
    return Step(name=DONE, state="waiting")


_STEPS: Sequence[tuple[str, Callable[[View], float | Problem]]] = (
    (ADMITTED, _admitted),
    (SCHEDULED, _scheduled),
    (PULLED, _pulled),
    (RUNNING, _running),
)


def sort_events(events: Sequence[Body], names: set[str]) -> list[Body]:
    """Events about objects of these names, oldest first."""
    return sorted((e for e in events if _about(e) in names), key=event_time)


def _about(event: Body) -> str:
    return str(event.get("involvedObject", {}).get("name", ""))


def _is_cause(event: Body) -> bool:
    return event.get("reason") == "Failed" and event["message"].startswith("Failed to pull")


def _name(body: Body) -> str:
    return str(body["metadata"]["name"])


def _made(pod: Body) -> float:
    return epoch(pod["metadata"].get("creationTimestamp"))


def _scheduled_at(pod: Body) -> float:
    return epoch(condition(pod, "PodScheduled").get("lastTransitionTime"))
