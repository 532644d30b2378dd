"""How an attempt ended, from what became of its job and its pods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wm.errors import EXPLANATIONS, Exit
from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.pods import End, end_of
from wmctl.launch.kubernetes.problems import problem
from wmctl.launch.kubernetes.workload import Fate, fate, is_retried

SETTLE = 10.0
"""Seconds in which news of a job and news of its pods may reach us in any order."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """What an observation says of an attempt that is over."""

    code: int
    reason: str = ""
    message: str = ""
    hint: str = ""


def ending(
    job: StageJob, body: Body | None, pods: Sequence[Body], gone: Sequence[Body], now: float
) -> Ending | None:
    """How the attempt ended; None while it has not.

    ``gone`` are pods that were deleted, as they were seen last. Where a pod of a job whose pods
    are not replaced has ended, that decides, whether or not its controller has noticed: a stage
    must not depend on the operator being up.
    """
    ends = [e for e in (end_of(pod, now) for pod in pods) if e]
    ends += [e for e in (end_of(pod, now, gone=True) for pod in gone) if e]
    failed = [end for end in ends if end.code != Exit.OK]
    alive = [pod for pod in pods if end_of(pod, now) is None]
    if body is None:
        return None if alive else _deleted(job, ends, failed)
    decided = fate(body)
    if decided is None and (is_retried(body) or not (failed or len(ends) >= job.pods)):
        return None
    at = decided.at if decided else max(end.at for end in ends)
    patience = SETTLE + _grace(pods) if alive else SETTLE
    if (alive or (decided and not ends)) and now < at + patience:
        return None  # the others save their state, or their end is not known here yet
    if decided and decided.succeeded:
        hidden = [e for e in failed if e.reason == "OOMKilled" and _succeeded(e.pod, pods)]
        return _words(job, hidden[0]) if hidden else Ending(Exit.OK, "Completed")
    if not failed:
        return _unseen(job, decided) if decided else Ending(Exit.OK, "Completed")
    if decided and decided.too_late:
        return _too_late(job, failed)
    return _words(job, _culprit(failed, decided, retried=is_retried(body)))


def _culprit(failed: Sequence[End], decided: Fate | None, *, retried: bool) -> End:
    """The member whose end is the attempt's.

    Of members that work together the first to fail is the cause and the others' ends follow from
    it; but times have a resolution of a second, so what the cluster did (out of memory, eviction)
    goes before what a process says, which may be no more than "my peer is gone". Of members that
    Kubernetes tries again the last failure is the one that was not forgiven.
    """
    if not retried:
        return min(failed, key=lambda end: (not end.by_platform, end.at, end.code))
    named = [end for end in failed if decided and end.code == decided.exit_code]
    return max(named or failed, key=lambda end: end.at)


def _words(job: StageJob, end: End) -> Ending:
    """An end in a sentence and a way out. The stage's own outcome says more where there is one."""
    go_on = "nothing to do: the next attempt goes on from the saved state"
    text = end.text.strip().rstrip(".")
    match end.reason:
        case "OOMKilled":
            limit = f"limit {job.resources.memory}, attempt {job.attempt}"
            return Ending(
                end.code,
                end.reason,
                f"pod {end.pod} was OOMKilled ({limit})",
                f"raise resources.memory of {job.stage} or lower its batch size; "
                "resources.memory_max gives the next attempt more by itself",
            )
        case "Evicted" if end.code == Exit.BAD_CONFIG:
            hint = f"raise resources.disk (or shm, for /dev/shm) of {job.stage}"
            return Ending(end.code, end.reason, f"pod {end.pod} was evicted: {text}", hint)
        case "Completed" | "Error":
            return _by_itself(job, end)
        case "Deleted":
            message = f"pod {end.pod} was deleted, by somebody or with its node"
            return Ending(end.code, end.reason, message, go_on)
        case "StartError" | "ContainerCannotRun":
            hint = problem(end.reason, text).advice or f"see wmctl logs {job.run} {job.stage}"
            return Ending(end.code, end.reason, f"pod {end.pod} cannot start: {text}", hint)
        case "DeadlineExceeded":  # of the pod itself, which its kubelet keeps
            return _deadline(job, end.code)
        case "NodeLost":
            return Ending(end.code, end.reason, f"pod {end.pod} was lost: {text}", go_on)
    message = f"pod {end.pod} was {_LOWER.get(end.reason, end.reason)}: {text or end.reason}"
    return Ending(end.code, end.reason, message, go_on)


_LOWER = {"Evicted": "evicted", "Preempted": "preempted"}


def _by_itself(job: StageJob, end: End) -> Ending:
    if end.code == Exit.KILLED:
        hint = "if nobody did that by hand, the node may be short of memory: kubectl describe node"
        return Ending(end.code, end.reason, f"pod {end.pod} was killed (SIGKILL)", hint)
    if end.code in EXPLANATIONS:
        return Ending(end.code, end.reason)
    last = (end.text.strip().splitlines() or [""])[-1][:200]
    message = ": ".join(filter(None, (f"pod {end.pod} ended with exit code {end.code}", last)))
    return Ending(end.code, end.reason, message, f"see wmctl logs {job.run} {job.stage}")


def _deleted(job: StageJob, ends: Sequence[End], failed: Sequence[End]) -> Ending:
    code = Exit.OK if ends and not failed else Exit.KILLED
    if failed:
        first = _culprit(failed, None, retried=False)
        if first.by_platform:
            return _words(job, first)
        code = Exit(first.code) if first.code in EXPLANATIONS else Exit.KILLED
    if code == Exit.OK:
        return Ending(code, "Completed")
    return Ending(
        code,
        "Deleted",
        f"the job of {job.stage}, attempt {job.attempt}, was deleted from the cluster",
        f"wmctl submit {job.run} goes on from the saved state",
    )


def _too_late(job: StageJob, failed: Sequence[End]) -> Ending:
    """The cluster's own deadline, which guards against a conductor that is away for good."""
    codes = [end.code for end in failed if end.code >= 128]
    return _deadline(job, Exit.PREEMPTED if Exit.PREEMPTED in codes or not codes else codes[0])


def _unseen(job: StageJob, decided: Fate) -> Ending:
    """A job that failed, with no pod left that could say why."""
    if decided.too_late:
        return _deadline(job, Exit.PREEMPTED)
    code = decided.exit_code or Exit.KILLED
    message = f"the pods of {job.stage} are gone: {decided.text}"
    return Ending(code, decided.reason, message, "kubectl get events may still say who did it")


def _deadline(job: StageJob, code: int) -> Ending:
    message = f"{job.stage}, attempt {job.attempt}, ran into the deadline of its job"
    return Ending(code, "DeadlineExceeded", message, "give the plan a later deadline")


def _succeeded(name: str, pods: Sequence[Body]) -> bool:
    found = (p for p in pods if p["metadata"]["name"] == name)
    return any(p["status"].get("phase") == "Succeeded" for p in found)


def _grace(pods: Sequence[Body]) -> float:
    return max(float(p["spec"].get("terminationGracePeriodSeconds", 30)) for p in pods)
