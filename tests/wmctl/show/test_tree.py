from __future__ import annotations

from wmctl.launch.base import Observation, Pod, StageJob, Step
from wmctl.run.phases import Phases
from wmctl.show.tree import trees

JOB = StageJob(run="r", stage="train", attempt=2, kind="train", spec="")


def lines(phases: Phases) -> list[str]:
    return [line.plain for line in trees(phases)]


def test_a_tree_ends_at_the_first_step_that_is_not_done() -> None:
    steps = [
        Step(name="submitted", state="done"),
        Step(name="admitted", state="done"),
        Step(
            name="scheduled",
            state="waiting",
            text="0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
            advice="wait for GPUs, or ask for fewer",
        ),
    ]
    seen = Observation(job=JOB, phase="waiting", steps=steps)
    assert lines(Phases(stages={"train": seen})) == [
        "train (attempt 2)",
        "  ✓ submitted",
        "  ✓ admitted ",
        "  … scheduled  0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        "               wait for GPUs, or ask for fewer",
    ]


def test_what_runs_well_has_no_tree() -> None:
    seen = Observation(
        job=JOB,
        phase="running",
        steps=[Step(name="running", state="done", since=1.0)],
        pods=[Pod(name="p", node="n")],
    )
    assert lines(Phases(stages={"train": seen})) == []


def test_what_the_conductor_cannot_see_is_said_first() -> None:
    assert lines(Phases(trouble="no news since 03:00:00 UTC: it does not answer")) == [
        "the conductor has no news since 03:00:00 UTC: it does not answer"
    ]
