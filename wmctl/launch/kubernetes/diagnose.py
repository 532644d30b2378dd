"""What the cluster says of an attempt, as an observation: pure, from objects to words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wm.errors import Exit, explain
from wmctl.launch.base import Observation, Pod, StageJob, Step
from wmctl.launch.kubernetes.endings import Ending, ending
from wmctl.launch.kubernetes.phases import DONE, View, climb, fall, sort_events
from wmctl.launch.kubernetes.pods import pod_of
from wmctl.launch.kubernetes.problems import Problem
from wmctl.launch.kubernetes.workload import created_at, is_over, is_retried, taken_up_at

__all__ = ["is_over", "observe", "pod_of"]

PERMANENT_AFTER = 60.0
"""Seconds that a problem which will not pass by itself is given, in case somebody is at it (an
image that is just being pushed). The promise is two minutes from submission to the words."""

Body = dict[str, Any]


def observe(
    job: StageJob,
    body: Body | None,
    pods: Sequence[Body],
    events: Sequence[Body],
    now: float,
    start_deadline_s: float,
    gone: Sequence[Body] = (),
) -> Observation:
    """Phase, end and phase tree of an attempt.

    ``body`` is its job, None when it has been there and is no more; ``pods`` are those that are
    there and ``gone`` those that were deleted, as they were seen last; ``events`` may be about
    anything. All as the API gives them. ``now`` in seconds since the epoch.
    """
    pods = sorted(pods, key=lambda p: str(p["metadata"]["name"]))
    shown = [pod_of(pod) for pod in pods] + [pod_of(pod, gone=True) for pod in gone]
    names = {pod.name for pod in shown} | ({body["metadata"]["name"]} if body else set())
    over = ending(job, body, pods, gone, now)
    if body is None:
        return _observation(job, over, [_deleted_step(over)] if over else [], shown)
    view = View(body, job.pods, pods, sort_events(events, names), now)
    steps, problem = climb(view)
    if over is None and problem is not None:
        over = _give_up(job, view, problem, start_deadline_s, any(p.started for p in shown))
    if over is not None:
        steps = fall(
            view,
            ran=is_over(body) or any(pod.started for pod in shown),
            good=over.code == Exit.OK,
            text=_text(over),
            advice=over.hint,
        )
    return _observation(job, over, steps, shown)


def _give_up(
    job: StageJob, view: View, problem: Problem, start_deadline_s: float, started: bool
) -> Ending | None:
    """The end of an attempt that will not start, or not in time."""
    if problem.patient or (started and is_retried(view.body)):
        return None
    if problem.permanent and view.now - problem.since > PERMANENT_AFTER:
        message = f"{job.stage} cannot start: {problem.text}"
        return Ending(Exit.BAD_CONFIG, problem.reason, message, problem.advice)
    # From when the queue let it go, where there is one.
    begin = taken_up_at(view.body) or created_at(view.body)
    if view.now - begin > start_deadline_s:
        message = f"{job.stage} did not start within {start_deadline_s:.0f} s: {problem.text}"
        return Ending(Exit.ATTEMPTS_EXHAUSTED, problem.reason, message, problem.advice)
    return None


def _deleted_step(over: Ending) -> Step:
    state = "done" if over.code == Exit.OK else "failed"
    return Step(name=DONE, state=state, text=_text(over), advice=over.hint)


def _text(over: Ending) -> str:
    if over.code == Exit.OK:
        return ""
    return over.message or f"exit code {over.code}: {explain(over.code)}"


def _observation(
    job: StageJob, over: Ending | None, steps: Sequence[Step], shown: Sequence[Pod]
) -> Observation:
    if over is None:
        phase = "running" if any(pod.started for pod in shown) else "waiting"
        return Observation(job=job, phase=phase, steps=steps, pods=shown)
    return Observation(
        job=job,
        phase="ended",
        exit_code=over.code,
        reason=over.reason,
        message=over.message,
        hint=over.hint,
        steps=steps,
        pods=shown,
    )
