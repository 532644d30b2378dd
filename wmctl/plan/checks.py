"""Whether the rules of a plan speak of stages and players that there are."""

from __future__ import annotations

from collections.abc import Mapping

from wm.errors import BadConfig
from wmctl.plan.model import Plan
from wmctl.plan.node import Node, select
from wmctl.plan.rules import Condition
from wmctl.plan.words import did_you_mean

PAIRING = ("elo", "nelo", "score", "difference", "sprt")
"""Figures of two players."""


def check_rules(plan: Plan, nodes: Mapping[str, Node]) -> None:
    """Raises :class:`BadConfig` naming the rule and what it names that there is not."""
    _check_gates(plan, nodes)
    _check_choices(plan, nodes)
    _check_verdicts(plan, nodes)
    for name, stage in plan.stages.items():
        if stage.optional and stage.train is None and stage.calibrate is None:
            raise BadConfig(
                f"stage {name}: only trainings can be optional",
                hint="an arena is left out with its players",
            )


def _check_gates(plan: Plan, nodes: Mapping[str, Node]) -> None:
    titles = [gate.title for gate in plan.gates]
    for gate in plan.gates:
        judged = select(nodes, gate.after)
        if not judged:
            raise BadConfig(
                f"gate after {gate.after!r}: there is no such stage"
                f"{did_you_mean(gate.after, plan.stages)}"
            )
        if titles.count(gate.title) > 1:
            raise BadConfig(f"two gates are called {gate.title!r}", hint="give one a name")
        for selector in gate.guards:
            guarded = select(nodes, selector)
            if not guarded:
                raise BadConfig(
                    f"gate {gate.title}: it guards {selector!r}, which is no stage"
                    f"{did_you_mean(selector, plan.stages)}"
                )
            if {n.name for n in judged} & {n.name for n in guarded}:
                raise BadConfig(f"gate {gate.title}: {selector} cannot wait for itself")
        for condition in gate.require:
            _check_condition(f"gate {gate.title}", condition, judged, nodes)


def _check_condition(
    rule: str, condition: Condition, judged: list[Node], nodes: Mapping[str, Node]
) -> None:
    arena = next((node for node in judged if node.kind == "arena"), None)
    players = [seat.name for seat in arena.seats] if arena else []
    _check_pairing(rule, condition, played=arena is not None)
    if arena and not condition.of and condition.metric not in ("exit_code", "usd", "hours"):
        raise BadConfig(
            f"{rule}: whose {condition.metric}?", hint=f"of: one of {', '.join(players)}"
        )
    for who in (condition.of, condition.against, condition.than):
        _check_subject(rule, who, players, nodes)


def _check_pairing(rule: str, condition: Condition, *, played: bool) -> None:
    if condition.metric in PAIRING and (condition.against is None or not played):
        raise BadConfig(
            f"{rule}: {condition.metric} is a figure of two players",
            hint="judge an arena, and name the opponent: against",
        )
    if condition.against is not None and condition.metric not in PAIRING:
        raise BadConfig(
            f"{rule}: {condition.metric} is no figure of two players",
            hint="to compare with another's, name it by than and not by against",
        )


def _check_subject(
    rule: str, who: str | None, players: list[str], nodes: Mapping[str, Node]
) -> None:
    if who and who not in players and not select(nodes, who):
        raise BadConfig(
            f"{rule}: {who!r} is neither a player nor a stage"
            f"{did_you_mean(who, [*players, *(n.label for n in nodes.values())])}"
        )


def _check_choices(plan: Plan, nodes: Mapping[str, Node]) -> None:
    for name, choice in plan.choices.items():
        for selector in choice.among:
            if not any(node.kind == "train" for node in select(nodes, selector)):
                raise BadConfig(
                    f"choice {name}: {selector!r} is no train stage"
                    f"{did_you_mean(selector, plan.stages)}"
                )
    for node in nodes.values():
        for adopted in node.choices:
            if adopted not in plan.choices:
                raise BadConfig(
                    f"stage {node.stage}: there is no choice {adopted!r}"
                    f"{did_you_mean(adopted, plan.choices)}"
                )


def _check_verdicts(plan: Plan, nodes: Mapping[str, Node]) -> None:
    for name, verdict in plan.verdicts.items():
        arena = nodes.get(verdict.arena)
        if arena is None or arena.kind != "arena":
            raise BadConfig(
                f"verdict {name}: {verdict.arena!r} is no arena stage"
                f"{did_you_mean(verdict.arena, plan.stages)}"
            )
        players = [seat.name for seat in arena.seats]
        opponents = [who for c in verdict.criteria for who in c.others if not who.endswith("?")]
        candidates = [] if verdict.candidate == "best" else [verdict.candidate]
        for who in [*candidates, *opponents]:
            if who not in players:
                raise BadConfig(
                    f"verdict {name}: {who!r} does not play in {verdict.arena}"
                    f"{did_you_mean(who, players)}",
                    hint=f"its players: {', '.join(players)}",
                )
        for criterion in verdict.criteria:
            _check_pairing(f"verdict {name}", criterion, played=True)
            _check_subject(f"verdict {name}", criterion.of, players, nodes)
