"""A node: one stage of a run, of one variant, with every setting resolved."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from encoder.config import EncodeConfig
from evaluator.config import ArenaConfig
from trainer.config import TrainConfig
from wm.stage.spec import Kind
from wmctl.plan.expect import Expected
from wmctl.plan.model import Resources

SETTINGS: dict[Kind, type[EncodeConfig] | type[TrainConfig] | type[ArenaConfig]] = {
    "encode": EncodeConfig,
    "train": TrainConfig,
    "arena": ArenaConfig,
}
"""Settings of each kind of stage; a kind needs none but those before it."""


class Seat(BaseModel):
    """One player of an arena, before its model is known."""

    model_config = ConfigDict(extra="forbid")

    name: str
    node: str | None = None
    """The train node whose model plays."""
    model: str | None = None
    """Key of a registered model."""
    anchor: str | None = None
    optional: bool = False
    """Whether the arena goes on without it where its node has failed."""
    choice: str | None = None
    """It plays only if this choice has taken its node."""


class Node(BaseModel):
    """One stage of a run, of one variant, with every setting resolved."""

    model_config = ConfigDict(extra="forbid")

    name: str
    """Unique in the run, e.g. ``train-chess-winner``."""
    stage: str
    """Key in the plan, e.g. ``train-chess``."""
    variant: str = ""
    """What varies, e.g. ``winner``."""
    kind: Kind
    game: str
    config: dict[str, Any]
    """The stage's settings; what earlier nodes make is filled in by :func:`bind`."""
    data: str | None = None
    """The encode node whose data set is read."""
    seats: list[Seat] = []
    players: int = 0
    """Of an arena: players that should take part; of those that a choice is among, as it keeps."""
    cpus: int = 1
    """Processor cores that each of its pods keeps busy."""
    resources: Resources = Resources()
    """What each of its pods asks a cluster for."""
    expects: Expected = Expected()
    """What its data set should hold, of an encode or train node."""
    varied: dict[str, Any] = {}
    """Setting -> value by which it differs from its siblings."""
    epochs: float | None = None
    """Passes over its games, from which its steps follow once those are counted."""
    share: float = 1.0
    """Part of the whole training that its steps are; the schedule is laid out for the whole."""
    shorten_to: float = 1.0
    """Share of its steps to which it may be shortened."""
    optional: bool = False
    """Whether it is left out when there is no time or money for it."""
    continues: str | None = None
    """The train node from whose checkpoint it goes on."""
    after: list[str] = []
    """Nodes that must be over, well or not, before it starts."""
    adopts: list[str] = []
    """Choices whose winner's varied settings it takes over."""
    survives: str | None = None
    """Choice that must have taken the node which it continues."""

    @property
    def pods(self) -> int:
        """Members that work on it together on a cluster."""
        return int(self.config.get("pods", 1))

    @property
    def processes(self) -> int:
        """Training processes of one member."""
        return int(self.config.get("processes", 1))

    @property
    def gpus(self) -> int:
        """GPUs that each of its pods holds."""
        return (self.resources.gpus or self.processes) if self.resources.gpu else 0

    @property
    def cores(self) -> int:
        """Processor cores that it keeps busy on one machine, where its pods are one."""
        return self.cpus * self.pods if self.kind == "train" else self.cpus

    @property
    def label(self) -> str:
        """``train-chess/winner``: how plans and people refer to it."""
        return f"{self.stage}/{self.variant}" if self.variant else self.stage

    @property
    def needs(self) -> list[str]:
        """Nodes whose products it takes, those of optional players included."""
        own = [name for name in (self.data, self.continues) if name]
        return own + [seat.node for seat in self.seats if seat.node]

    @property
    def choices(self) -> list[str]:
        """Choices that must have been made before it starts."""
        own = [self.survives] if self.survives else []
        return own + self.adopts + [seat.choice for seat in self.seats if seat.choice]

    @property
    def steps(self) -> int:
        """Updates of a train node, as far as they are known before it starts."""
        return int(self.config.get("steps", 0))


def bind(
    node: Node,
    nodes: Mapping[str, Node],
    results: Mapping[str, Mapping[str, Any]],
    *,
    chosen: Mapping[str, Collection[str]] | None = None,
    steps: int | None = None,
) -> dict[str, Any]:
    """The node's configuration with what earlier nodes made: data set, models, chosen settings.

    ``results`` holds what the nodes that are done have left, ``chosen`` the nodes that each choice
    took, ``steps`` a bound on the steps of a training.
    """
    config = dict(node.config)
    if node.data:
        config["data"] = results[node.data]["dataset"]
    for choice in node.adopts:
        for winner in (chosen or {}).get(choice, ()):
            assign(config, nodes[winner].varied)
    if node.epochs is not None and node.data:
        made = results[node.data]
        config["steps"] = steps_of(config, node, made["games"]["train"], made["rows"]["train"])
    if node.share < 1:
        config["schedule_steps"] = max(1, round(config["steps"] / node.share))
    if steps is not None:
        config["steps"] = min(steps, config["steps"])
    if node.seats:
        playing = [s for s in node.seats if s.node is None or plays(s, results, chosen or {})]
        config["players"] = [
            {
                "name": seat.name,
                "anchor": seat.anchor,
                "model": results[seat.node]["model"] if seat.node else seat.model,
            }
            for seat in playing
        ]
        names = [seat.name for seat in playing]
        config["decide"] = [name for name in config["decide"] if name in names]
    return SETTINGS[node.kind].model_validate(config).model_dump(mode="json")


def plays(seat: Seat, results: Mapping[str, Any], chosen: Mapping[str, Collection[str]]) -> bool:
    """Whether a trained player takes part: its model is there, and it was chosen."""
    if seat.choice and seat.node not in chosen.get(seat.choice, ()):
        return False
    return bool(results.get(seat.node or ""))


def steps_of(config: Mapping[str, Any], node: Node, games: int, rows: int) -> int:
    """Updates in the node's epochs over a train split of so many games and rows.

    An epoch is each game once (chess), or each frame once (Melee).
    """
    used = int(min(config.get("games") or games, games))
    items = float(used)
    if node.game == "melee":
        frames = rows * used / max(games, 1)
        items = frames / int(config["length"]) if config["mode"] == "every" else frames
    return max(1, math.ceil((node.epochs or 0) * node.share * items / int(config["batch"])))


def assign(tree: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Set ``a.b: value`` in nested mappings, which are copied and not shared."""
    for path, value in settings.items():
        *parents, last = path.split(".")
        at = tree
        for parent in parents:
            child = at.get(parent)
            at[parent] = dict(child) if isinstance(child, dict) else {}
            at = at[parent]
        at[last] = value


def select(nodes: Mapping[str, Node], selector: str) -> list[Node]:
    """Nodes that a plan means by ``train-chess``, ``train-chess/winner`` or ``train-chess/*``."""
    stage, _, variant = selector.partition("/")
    return [
        node
        for node in nodes.values()
        if node.name == selector
        or (node.stage == stage and variant in ("", "*"))
        or (node.stage == stage and variant == node.variant)
    ]
