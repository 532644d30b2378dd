"""From a plan to the nodes of a run: variants expanded, references resolved, settings checked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from wm.errors import BadConfig
from wmctl.plan.calibrations import calibrations
from wmctl.plan.checks import check_rules
from wmctl.plan.make_node import make_node
from wmctl.plan.model import NAME, Plan, Stage
from wmctl.plan.node import SETTINGS, Node, assign, select
from wmctl.plan.seats import FindModel, players_of
from wmctl.plan.words import did_you_mean

_KINDS = ("inventory", "encode", "calibrate", "train", "arena")
"""Keys that say what a stage is."""


def resolve(plan: Plan, find_model: FindModel) -> list[Node]:
    """The nodes of a plan in an order in which each comes after what it needs.

    Raises :class:`BadConfig` naming the stage and the key that is wrong.
    """
    if "conductor" in plan.stages:
        raise BadConfig("stage conductor: a run has one of its own", hint="give it another name")
    nodes: dict[str, Node] = {}
    for kind in SETTINGS:
        for name, stage in plan.stages.items():
            if _kind(name, stage) != kind:
                continue
            for variant, settings, varied in _variants(name, stage):
                node = make_node(plan, nodes, name, kind, variant, settings, find_model)
                _add(nodes, node.model_copy(update={"varied": varied}))
    for name, stage in plan.stages.items():
        for node in list(calibrations(name, stage, nodes)):
            _add(nodes, node)
    for node in nodes.values():
        _link(plan, nodes, node)
        node.players = players_of(plan, nodes, node)
    check_rules(plan, nodes)
    return _in_order(plan, nodes)


def _kind(name: str, stage: Stage) -> str:
    kinds = [k for k in _KINDS if getattr(stage, k) is not None]
    if len(kinds) != 1:
        raise BadConfig(f"stage {name}: needs exactly one of the keys {', '.join(_KINDS)}")
    return "encode" if kinds[0] == "inventory" else kinds[0]


def _add(nodes: dict[str, Node], node: Node) -> None:
    if not re.fullmatch(NAME, node.name) or node.name in nodes:
        raise BadConfig(
            f"stage {node.stage}: variant {node.variant!r} gives no usable name of its own",
            hint="vary settings whose values differ in letters or digits, and keep names short",
        )
    nodes[node.name] = node


def _variants(name: str, stage: Stage) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(variant, settings, what of them varies) of every variant."""
    base = stage.settings | ({"model": stage.model} if stage.model is not None else {})
    if stage.vary and stage.variants:
        raise BadConfig(f"stage {name}: give either vary or variants")
    varied = dict(stage.variants) or {
        "-".join(map(_slug, values)): dict(zip(stage.vary, values, strict=True))
        for values in itertools.product(*stage.vary.values())
    }
    if not stage.variants and len(varied) < _product(stage):
        raise BadConfig(
            f"stage {name}: two variants have the same name",
            hint="vary settings whose values differ in letters or digits",
        )
    made = []
    for variant, changes in varied.items():
        settings = deepcopy(base)
        for path in changes:
            _check_path(name, settings, path)
        assign(settings, changes)
        made.append((variant, settings, changes))
    return made


def _product(stage: Stage) -> int:
    count = 1
    for values in stage.vary.values():
        count *= len(values)
    return count


def _check_path(name: str, settings: dict[str, Any], path: str) -> None:
    at: Any = settings
    for parent in path.split(".")[:-1]:
        at = at.get(parent, {})
        if not isinstance(at, dict):
            raise BadConfig(f"stage {name}: vary {path}: {parent!r} holds a value, not keys")


def _link(plan: Plan, nodes: Mapping[str, Node], node: Node) -> None:
    """What a node says of other nodes, now that all are there."""
    stage = plan.stages[node.stage]
    for selector in stage.after:
        found = select(nodes, selector)
        if not found:
            raise BadConfig(
                f"stage {node.stage}: it is after {selector!r}, which is no stage"
                f"{did_you_mean(selector, plan.stages)}"
            )
        node.after = [*node.after, *(other.name for other in found)]
    if stage.continues is None or stage.calibrate:
        return
    earlier = [n for n in select(nodes, stage.continues) if n.kind == "train"]
    same = [n for n in earlier if n.variant == node.variant] or earlier
    if len(same) != 1:
        raise BadConfig(
            f"stage {node.stage}: it continues {stage.continues!r}, which is "
            f"{'no train stage' if not earlier else 'more than one training'}",
            hint="name one train stage, or one with the same variants",
        )
    node.continues = node.config["continues"] = same[0].name
    if node.data != same[0].data:
        raise BadConfig(f"stage {node.stage}: it continues {same[0].label} on other data")


def _in_order(plan: Plan, nodes: Mapping[str, Node]) -> list[Node]:
    """Nodes with what they need or wait for before them, else as the plan has them."""
    before = {node.name: {*node.needs, *node.after} for node in nodes.values()}
    for node in nodes.values():
        among = [s for choice in node.choices for s in plan.choices[choice].among]
        before[node.name] |= {other.name for s in among for other in select(nodes, s)}
    for gate in plan.gates:
        judged = {node.name for node in select(nodes, gate.after)}
        for guarded in (node for s in gate.guards for node in select(nodes, s)):
            before[guarded.name] |= judged
    ordered: dict[str, Node] = {}
    while left := [node for node in nodes.values() if node.name not in ordered]:
        ready = [node for node in left if before[node.name] <= ordered.keys()]
        if not ready:
            names = ", ".join(node.label for node in left)
            raise BadConfig(f"these stages wait for each other: {names}")
        ordered |= {node.name: node for node in ready}
    return list(ordered.values())


def _slug(value: object) -> str:
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")
