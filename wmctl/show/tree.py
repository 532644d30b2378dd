"""The phase tree: how far the platform is with what waits, down to the first step not done."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from wmctl.launch.base import Observation
from wmctl.run.phases import Phases
from wmctl.show import phrases

MARKS = {"done": ("✓", "green"), "waiting": ("…", "yellow"), "failed": ("✗", "red")}


def tree(name: str, seen: Observation) -> Iterator[Text]:
    """Lines for one attempt."""
    nodes = sorted({pod.node for pod in seen.pods if pod.node})
    where = f" on {', '.join(nodes)}" if nodes else ""
    yield Text(f"{name} (attempt {seen.job.attempt}){where}", "bold")
    width = max((len(step.name) for step in seen.steps), default=0)
    for step in seen.steps:
        mark, colour = MARKS[step.state]
        line = Text("  ").append(mark, colour).append(f" {step.name:{width}}")
        if step.state == "done":
            yield line.append(f"  {phrases.clock(step.since)}" if step.since else "", "dim")
            continue
        yield line.append(f"  {step.text}")
        if step.advice:
            yield Text(f"    {'':{width}}  {step.advice}", "dim")


def trees(phases: Phases) -> Iterator[Text]:
    """Lines for every attempt that does not run yet, or that runs in trouble."""
    if phases.trouble:
        yield Text(f"the conductor has {phases.trouble}", "yellow")
    for name, seen in phases.stages.items():
        if any(step.state != "done" and step.text for step in seen.steps):
            yield from tree(name, seen)
