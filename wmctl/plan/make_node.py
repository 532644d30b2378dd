"""One node of a plan: the settings of a variant with what its stage's kind adds, all checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from encoder.config import EncodeConfig
from evaluator.config import ArenaConfig
from trainer.config import TrainConfig
from wm.errors import BadConfig
from wm.stage.spec import Kind
from wmctl.plan.expect import expected
from wmctl.plan.load import explain_validation
from wmctl.plan.model import Plan, Stage
from wmctl.plan.node import SETTINGS, Node, Seat, steps_of
from wmctl.plan.seats import FindModel, seat_config, seats_of
from wmctl.plan.words import did_you_mean


class _Part(NamedTuple):
    """What the kind of its stage brings to a node."""

    game: str
    settings: dict[str, Any]
    data: str | None = None
    """The encode node whose data set is read."""
    seats: Sequence[Seat] = ()


def make_node(
    plan: Plan,
    nodes: Mapping[str, Node],
    name: str,
    kind: Kind,
    variant: str,
    settings: dict[str, Any],
    find_model: FindModel,
) -> Node:
    """The node of a variant of stage ``name``; ``nodes`` are those made so far.

    Raises :class:`BadConfig` naming the stage and the key that is wrong.
    """
    stage = plan.stages[name]
    if kind == "encode":
        part = _encode(plan, name, stage)
    elif kind == "train":
        part = _train(nodes, name, stage, settings)
    else:
        part = _arena(plan, nodes, name, stage, find_model)
    config = _checked(name, kind, settings | part.settings)
    node = Node(
        name=f"{name}-{variant}" if variant else name,
        stage=name,
        variant=variant,
        kind=kind,
        game=part.game,
        config=config.model_dump(mode="json"),
        data=part.data,
        seats=list(part.seats),
        cpus=_cpus(config),
        resources=stage.resources,
        epochs=stage.epochs,
        shorten_to=stage.shorten_to,
        optional=stage.optional,
        adopts=stage.adopt,
        share=stage.share,
        survives=stage.survivors,
    )
    if kind == "encode":
        node.expects = expected(plan.data[node.config["name"]], node.config["split"])
    elif node.data:
        node.expects = nodes[node.data].expects
    if node.epochs is not None:
        node.config["steps"] = steps_of(node.config, node, node.expects.train, node.expects.rows)
    elif kind == "train":
        node.config["steps"] = max(1, round(node.steps * node.share))
    return node


def _encode(plan: Plan, name: str, stage: Stage) -> _Part:
    read = str(stage.encode or stage.inventory)
    if read not in plan.data:
        raise BadConfig(
            f"stage {name}: there is no data named {read!r}{did_you_mean(read, plan.data)}"
        )
    source = plan.data[read]
    settings = {"game": source.game, "name": read, "source": source.source}
    return _Part(source.game, settings | {"inventory": stage.inventory is not None})


def _train(
    nodes: Mapping[str, Node], name: str, stage: Stage, settings: Mapping[str, Any]
) -> _Part:
    data = _encode_node(nodes, name, stage.data)
    game = data.game
    own: dict[str, Any] = {
        "data": _pending(data),
        "model": {"kind": stage.train} | (settings.get("model") or {}),
        "name": game,
    }
    if stage.epochs is not None:
        if "steps" in settings:
            raise BadConfig(f"stage {name}: give either steps or epochs")
        own["steps"] = 1  # until its games are counted
    return _Part(game, own, data.name)


def _arena(
    plan: Plan, nodes: Mapping[str, Node], name: str, stage: Stage, find_model: FindModel
) -> _Part:
    game = str(stage.arena)
    data = _encode_node(nodes, name, stage.data) if stage.data else None
    seats = seats_of(plan, nodes, name, stage, game, find_model)
    settings = {"game": game, "players": [seat_config(seat) for seat in seats]}
    if data is None:
        return _Part(game, settings, seats=seats)
    return _Part(game, settings | {"data": _pending(data)}, data.name, seats)


def _encode_node(nodes: Mapping[str, Node], name: str, data: str | None) -> Node:
    made = {
        n: node
        for n, node in nodes.items()
        if node.kind == "encode" and not node.config["inventory"]
    }
    if data is None:
        raise BadConfig(f"stage {name}: 'data' is missing", hint="name the encode stage it reads")
    if data not in made:
        raise BadConfig(
            f"stage {name}: it reads the data set of {data!r}, which no stage makes"
            f"{did_you_mean(data, made)}",
            hint=f"encode stages: {', '.join(made) or 'none'}",
        )
    return made[data]


def _pending(data: Node) -> str:
    """Stands for a data set's key until there is one."""
    return f"datasets/{data.config['name']}/pending"


def _checked(
    name: str, kind: Kind, settings: Mapping[str, Any]
) -> EncodeConfig | TrainConfig | ArenaConfig:
    try:
        return SETTINGS[kind].model_validate(settings)
    except ValidationError as error:
        raise BadConfig(f"stage {name}: {explain_validation(error, SETTINGS[kind])}") from error


def _cpus(config: EncodeConfig | TrainConfig | ArenaConfig) -> int:
    if isinstance(config, EncodeConfig):
        return config.cpus
    if isinstance(config, TrainConfig):
        return config.threads * config.processes
    return config.threads
