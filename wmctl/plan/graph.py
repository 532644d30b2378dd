"""From a plan to the nodes of a run: variants expanded, references resolved, settings checked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from encoder.config import EncodeConfig
from evaluator.config import ANCHORS, ArenaConfig
from trainer.config import TrainConfig
from wm.errors import BadConfig
from wm.stage.spec import Kind
from wmctl.plan.load import explain_validation
from wmctl.plan.model import NAME, Plan, Resources, Stage
from wmctl.plan.words import did_you_mean

SETTINGS: dict[Kind, type[EncodeConfig] | type[TrainConfig] | type[ArenaConfig]] = {
    "encode": EncodeConfig,
    "train": TrainConfig,
    "arena": ArenaConfig,
}

FindModel = Callable[[str, str], str | None]
"""(game, alias or version) -> key of a registered model, None where there is none."""


class Seat(BaseModel):
    """One player of an arena, before its model is known."""

    model_config = ConfigDict(extra="forbid")

    name: str
    node: str | None = None
    """The train node whose model plays."""
    model: str | None = None
    """Key of a registered model."""
    anchor: str | None = None


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
    cpus: int = 1
    """Processor cores that each of its pods keeps busy."""
    resources: Resources = Resources()
    """What each of its pods asks a cluster for."""

    @property
    def pods(self) -> int:
        """Members that work on it together on a cluster."""
        return int(self.config.get("pods", 1))

    @property
    def processes(self) -> int:
        """Training processes of one member."""
        return int(self.config.get("processes", 1))

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
        """Nodes that must have ended well before this one starts."""
        return ([self.data] if self.data else []) + [s.node for s in self.seats if s.node]


def resolve(plan: Plan, find_model: FindModel) -> list[Node]:
    """The nodes of a plan in an order in which each comes after what it needs.

    Raises :class:`BadConfig` naming the stage and the key that is wrong.
    """
    if "conductor" in plan.stages:
        raise BadConfig("stage conductor: a run has one of its own", hint="give it another name")
    nodes: dict[str, Node] = {}
    for kind in ("encode", "train", "arena"):
        for name, stage in plan.stages.items():
            if _kind(name, stage) != kind:
                continue
            for variant, settings in _variants(name, stage):
                node = _node(plan, nodes, name, variant, stage, settings, find_model)
                if not re.fullmatch(NAME, node.name) or node.name in nodes:
                    raise BadConfig(
                        f"stage {name}: variant {variant!r} gives no usable name of its own",
                        hint="vary settings whose values differ in letters or digits",
                    )
                nodes[node.name] = node
    _check_rules(plan, nodes)
    return list(nodes.values())


def bind(node: Node, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The node's configuration with what earlier nodes made: data set and model keys."""
    config = dict(node.config)
    if node.data:
        config["data"] = results[node.data]["dataset"]
    if node.seats:
        config["players"] = [
            {
                "name": seat.name,
                "anchor": seat.anchor,
                "model": results[seat.node]["model"] if seat.node else seat.model,
            }
            for seat in node.seats
        ]
    return config


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


def _kind(name: str, stage: Stage) -> Kind:
    kinds: list[Kind] = [k for k in SETTINGS if getattr(stage, k) is not None]
    if len(kinds) != 1:
        raise BadConfig(f"stage {name}: needs exactly one of the keys encode, train, arena")
    return kinds[0]


def _variants(name: str, stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    base = stage.settings | ({"model": stage.model} if stage.model is not None else {})
    variants = []
    for values in itertools.product(*stage.vary.values()):
        settings = _copy(base)
        for path, value in zip(stage.vary, values, strict=True):
            *parents, last = path.split(".")
            tree = settings
            for parent in parents:
                tree = tree.setdefault(parent, {})
                if not isinstance(tree, dict):
                    raise BadConfig(
                        f"stage {name}: vary {path}: {parent!r} holds a value, not keys"
                    )
            tree[last] = value
        variants.append(("-".join(_slug(value) for value in values), settings))
    return variants


def _node(
    plan: Plan,
    nodes: Mapping[str, Node],
    name: str,
    variant: str,
    stage: Stage,
    settings: dict[str, Any],
    find_model: FindModel,
) -> Node:
    kind = _kind(name, stage)
    data: str | None = None
    seats: list[Seat] = []
    if kind == "encode":
        if stage.encode not in plan.data:
            raise BadConfig(
                f"stage {name}: there is no data named {stage.encode!r}"
                f"{did_you_mean(str(stage.encode), plan.data)}"
            )
        source = plan.data[stage.encode]
        game: str = source.game
        settings |= {"game": game, "name": stage.encode, "source": source.source}
    else:
        data = _encode_node(nodes, name, stage.data) if stage.data or kind == "train" else None
        game = stage.arena or nodes[data].game  # type: ignore[index]
        if data:
            settings["data"] = f"datasets/{nodes[data].config['name']}/pending"
        if kind == "train":
            settings["model"] = {"kind": stage.train} | (settings.get("model") or {})
            settings["name"] = game
        else:
            seats = _seats(nodes, name, stage, game, find_model)
            settings |= {"game": game, "players": [_seat_config(seat) for seat in seats]}
    try:
        config = SETTINGS[kind].model_validate(settings)
    except ValidationError as error:
        raise BadConfig(f"stage {name}: {explain_validation(error, SETTINGS[kind])}") from error
    return Node(
        name=f"{name}-{variant}" if variant else name,
        stage=name,
        variant=variant,
        kind=kind,
        game=game,
        config=config.model_dump(mode="json"),
        data=data,
        seats=seats,
        cpus=_cpus(config),
        resources=stage.resources,
    )


def _cpus(config: EncodeConfig | TrainConfig | ArenaConfig) -> int:
    if isinstance(config, EncodeConfig):
        return config.cpus
    if isinstance(config, TrainConfig):
        return config.threads * config.processes
    return config.threads


def _encode_node(nodes: Mapping[str, Node], name: str, data: str | None) -> str:
    made = {n: node for n, node in nodes.items() if node.kind == "encode"}
    if data is None:
        raise BadConfig(f"stage {name}: 'data' is missing", hint="name the encode stage it reads")
    if data not in made:
        raise BadConfig(
            f"stage {name}: it reads the data set of {data!r}, which no stage makes"
            f"{did_you_mean(data, made)}",
            hint=f"encode stages: {', '.join(made) or 'none'}",
        )
    return data


def _seats(
    nodes: Mapping[str, Node], name: str, stage: Stage, game: str, find_model: FindModel
) -> list[Seat]:
    seats: list[Seat] = []
    for player in stage.players or []:
        optional, player = player.endswith("?"), player.removesuffix("?")
        trained = [n for n in select(nodes, player) if n.kind == "train" and n.game == game]
        if trained:
            seats += [Seat(name=node.label, node=node.name) for node in trained]
        elif player in ANCHORS[game]:
            seats.append(Seat(name=player, anchor=player))
        elif model := find_model(game, player):
            seats.append(Seat(name=player, model=model))
        elif not optional:
            known = [n.label for n in nodes.values() if n.kind == "train" and n.game == game]
            raise BadConfig(
                f"stage {name}: player {player!r} is no {game} train stage, anchor or model"
                f"{did_you_mean(player, [*known, *ANCHORS[game]])}",
                hint=f"anchors: {', '.join(ANCHORS[game])}; stages: {', '.join(known) or 'none'}; "
                "models: see wmctl models list",
            )
    return seats


def _seat_config(seat: Seat) -> dict[str, Any]:
    model = None if seat.anchor else (seat.model or "models/pending/pending")
    return {"name": seat.name, "anchor": seat.anchor, "model": model}


def _check_rules(plan: Plan, nodes: Mapping[str, Node]) -> None:
    for gate in plan.gates:
        if not select(nodes, gate.after):
            raise BadConfig(
                f"gate after {gate.after!r}: there is no such stage"
                f"{did_you_mean(gate.after, plan.stages)}"
            )
        if (gate.at_least is None) == (gate.at_most is None):
            raise BadConfig(f"gate after {gate.after}: give one of at_least and at_most")
    for name, verdict in plan.verdicts.items():
        arena = nodes.get(verdict.arena)
        if arena is None or arena.kind != "arena":
            raise BadConfig(
                f"verdict {name}: {verdict.arena!r} is no arena stage"
                f"{did_you_mean(verdict.arena, plan.stages)}"
            )
        players = [seat.name for seat in arena.seats]
        for who in [verdict.candidate, *(c.against for c in verdict.criteria if c.against)]:
            if who not in players:
                raise BadConfig(
                    f"verdict {name}: {who!r} does not play in {verdict.arena}"
                    f"{did_you_mean(who, players)}",
                    hint=f"its players: {', '.join(players)}",
                )
        for criterion in verdict.criteria:
            if (criterion.above is None) == (criterion.below is None):
                raise BadConfig(
                    f"verdict {name}, criterion {criterion.metric}: give one of above and below"
                )


def _slug(value: object) -> str:
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")


def _copy(tree: Any) -> Any:
    return {k: _copy(v) for k, v in tree.items()} if isinstance(tree, dict) else tree
