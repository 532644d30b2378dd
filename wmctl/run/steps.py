"""Which attempt of a training made a step, and what it wrote down of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from trainer.config import TrainConfig
from wm.errors import InputMissing
from wm.stage.spec import StageSpec, attempt_prefix
from wm.store import Store
from wmctl.plan.node import Node
from wmctl.run.heartbeat import read_heartbeat
from wmctl.run.metrics import read_metrics


@dataclass(frozen=True)
class Made:
    """The updates of one attempt. Steps count from 1, as in metrics.jsonl."""

    spec: StageSpec
    address: str
    """Of its ``spec.json``."""
    lines: list[dict[str, Any]]
    """Of its metrics.jsonl."""
    done: int
    """Updates made, as far as metrics.jsonl and heartbeat know; 0 for an attempt that made none."""

    @property
    def begun(self) -> int:
        """Updates that were made before this attempt."""
        return int(self.lines[0]["step"]) if self.lines else 0

    @property
    def reached(self) -> int:
        """The last step that it may have made: the one that ended it stands in no line yet."""
        if not self.lines:
            return 0
        config = TrainConfig.model_validate(self.spec.config)
        return max(self.done, min(self.done + config.log_every, config.steps))

    @property
    def trained_on(self) -> dict[str, Any]:
        """``world`` and ``device`` of the attempt, where it got so far."""
        first = self.lines[0] if self.lines else {}
        return {name: first[name] for name in ("world", "device") if name in first}

    def recorded(self, step: int) -> dict[str, float]:
        """``loss``, ``grad_norm`` and ``lr`` of a step, those that were written down.

        A line of several steps has their mean loss, which is left out.
        """
        before, found = self.begun, dict[str, float]()
        for line in self.lines:
            if line["event"] == "train" and line["step"] == step:
                found |= {name: line[name] for name in ("grad_norm", "lr")}
                if before == step - 1:
                    found["loss"] = line["loss"]
            elif line["event"] == "spike" and line["step"] == step:
                found |= {name: line[name] for name in ("loss", "grad_norm")}
            if line["event"] == "train":
                before = line["step"]
        return found


def attempt_of(store: Store, run: str, node: Node, step: int, number: int | None = None) -> Made:
    """The attempt ``number``, or the newest one, that made ``step``.

    :class:`InputMissing` where there is no such attempt, or none that made the step.
    """
    numbers = _numbers(store, run, node.name)
    if not numbers:
        raise InputMissing(
            f"{node.label} of {run} has not been started", hint=f"see wmctl status {run}"
        )
    if number is not None and number not in numbers:
        raise InputMissing(
            f"{node.label} of {run} has no attempt {number}",
            hint=f"there are: {', '.join(map(str, numbers))}",
        )
    made = [_read(store, run, node.name, n) for n in ([number] if number else reversed(numbers))]
    for one in made:
        if one.begun < step <= one.reached:
            return one
    if step <= min(one.begun for one in made):
        raise _earlier(made[-1], node, step, number)
    who = f"attempt {number} of {node.label}" if number else f"{node.label} of {run}"
    last = max(one.done for one in made)
    raise InputMissing(
        f"{who} has made {last} steps, so there is no step {step} to replay",
        hint=f"see wmctl status {run}",
    )


def _earlier(made: Made, node: Node, step: int, number: int | None) -> InputMissing:
    """That a step came before the attempt, or before the whole stage."""
    run, other = made.spec.run, made.spec.config.get("continues")
    if number and number > 1:
        return InputMissing(
            f"attempt {number} of {node.label} went on from step {made.begun}",
            hint="leave out --attempt: an earlier one made it",
        )
    return InputMissing(
        f"{node.label} went on from step {made.begun} of {other}",
        hint=f"wmctl replay-step {run} {other} {step}",
    )


def _numbers(store: Store, run: str, stage: str) -> list[int]:
    pattern = re.compile(rf"runs/{re.escape(run)}/{re.escape(stage)}/(\d+)/spec\.json")
    keys = (entry.key for entry in store.list(f"runs/{run}/{stage}/"))
    return sorted(int(match[1]) for key in keys if (match := pattern.fullmatch(key)))


def _read(store: Store, run: str, stage: str, number: int) -> Made:
    prefix = attempt_prefix(run, stage, number)
    lines = read_metrics(store, run, stage, number)
    # One that only found its model published says in its heartbeat that all is done.
    beat = read_heartbeat(store, run, stage, number) if lines else None
    return Made(
        spec=StageSpec.model_validate_json(store.get(f"{prefix}/spec.json")),
        address=f"{store.url}/{prefix}/spec.json",
        lines=lines,
        done=max([beat.done if beat else 0, *(int(line["step"]) for line in lines)]),
    )
