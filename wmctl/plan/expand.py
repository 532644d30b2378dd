"""What a plan says in short, written out: scales, successive halving, a part of the plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wm.errors import BadConfig
from wmctl.plan.model import Plan, Stage
from wmctl.plan.rules import Choice
from wmctl.plan.words import did_you_mean


def scale_of(tree: dict[str, Any], wanted: str | None) -> dict[str, Any]:
    """The keys that the plan's scale changes; BadConfig where there is no such scale."""
    scale = wanted or tree.get("scale") or "full"
    scales = tree.get("scales") or {}
    if scale == "full" or not isinstance(scales, dict):
        return {}
    if scale not in scales:
        raise BadConfig(
            f"the plan has no scale {scale!r}{did_you_mean(str(scale), ['full', *scales])}",
            hint=f"its scales: {', '.join(['full', *scales])}",
        )
    changes = scales[scale]
    return changes if isinstance(changes, dict) else {}


def write_out(plan: Plan) -> Plan:
    """The plan with its successive halvings as stages and choices of their own."""
    stages: dict[str, Stage] = {}
    choices = dict(plan.choices)
    for name, stage in plan.stages.items():
        if stage.halve is None:
            stages[name] = stage
            continue
        halve = stage.halve
        if sorted(set(halve.rungs)) != halve.rungs:
            raise BadConfig(f"stage {name}: the rungs of halve must ascend")
        if not (stage.vary or stage.variants):
            raise BadConfig(f"stage {name}: halve needs variants to choose from")
        whole = stage.model_copy(update={"halve": None})
        before = ""
        shares = halve.rungs if halve.rungs[-1] == 1 else [*halve.rungs, 1.0]
        for number, share in enumerate(shares, 1):
            rung = name if number == 1 else f"{name}-{number}"
            stages[rung] = whole.model_copy(
                update={"share": share, "continues": before or None, "survivors": before or None}
            )
            if share in halve.rungs:
                choices[rung] = Choice(among=[rung], by=halve.by, keep=halve.keep)
            before = rung
    return plan.model_copy(update={"stages": stages, "choices": choices})


def only(plan: Plan, names: Iterable[str]) -> Plan:
    """The plan with these stages alone and what they need; its gates, its verdicts and all choices
    but those of players are left out."""
    kept: dict[str, Stage] = {}
    choices: dict[str, Choice] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in plan.stages:
            raise BadConfig(
                f"plan {plan.name} has no stage {name!r}{did_you_mean(name, plan.stages)}",
                hint=f"its stages: {', '.join(plan.stages)}",
            )
        stage = plan.stages[name]
        kept[name] = stage
        selectors = [player.removesuffix("?") for player in stage.players or ()]
        for player in list(selectors):
            choice = player.removeprefix("chosen(").removesuffix(")")
            if choice != player and choice in plan.choices:
                choices[choice] = plan.choices[choice]
                selectors += choices[choice].among
        wanted = [stage.data, stage.continues, *(each.split("/")[0] for each in selectors)]
        queue += [each for each in wanted if each in plan.stages and each not in kept]
    stages = {
        name: kept[name].model_copy(update={"after": [], "adopt": [], "survivors": None})
        for name in plan.stages
        if name in kept
    }
    changes = {"stages": stages, "gates": [], "choices": choices, "verdicts": {}}
    return plan.model_copy(update=changes)
