"""Short trainings that measure the pace of longer ones on the real hardware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trainer.config import TrainConfig
from wm.errors import BadConfig
from wmctl.plan.model import Stage
from wmctl.plan.node import Node, select

CALIBRATION = 100
"""Updates of a calibration, unless the plan says otherwise."""
_SHAPE = ("model", "batch", "length", "mode", "precision", "pods", "processes", "threads")
"""Settings that decide how long a step takes."""


def calibrations(name: str, stage: Stage, nodes: Mapping[str, Node]) -> Iterator[Node]:
    """A short training of each shape among the stages that are named, one after the other: what
    runs beside another on the same node is slower than it will be."""
    shapes = set()
    before: list[str] = []
    for selector in stage.calibrate or ():
        targets = [node for node in select(nodes, selector) if node.kind == "train"]
        if not targets:
            raise BadConfig(f"stage {name}: it calibrates {selector!r}, which is no train stage")
        for target in targets:
            config = target.config | {"steps": CALIBRATION, "games": None, "name": "calibration"}
            # Held-out figures of a hundred steps interest nobody.
            config |= {"validate_games": 8, "checkpoint_every": 10**6, "schedule_steps": None}
            config |= stage.settings
            shape = repr(([config[key] for key in _SHAPE], target.resources))
            if shape not in shapes:
                shapes.add(shape)
                own = f"{name}-{target.name}"
                yield target.model_copy(
                    update={
                        "name": own,
                        "stage": name,
                        "variant": target.name,
                        "config": TrainConfig.model_validate(config).model_dump(mode="json"),
                        "after": before,
                        "optional": stage.optional,
                        "epochs": None,
                        "share": 1.0,
                        "shorten_to": 1.0,
                        "adopts": [],
                        "survives": None,
                        "varied": {},
                    }
                )
                before = [own]
