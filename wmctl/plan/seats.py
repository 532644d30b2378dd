"""Who plays in an arena: stages, what a choice takes, anchors and registered models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from evaluator.config import ANCHORS
from wm.errors import BadConfig
from wmctl.plan.model import Plan, Stage
from wmctl.plan.node import Node, Seat, select
from wmctl.plan.rules import keep_count
from wmctl.plan.words import did_you_mean

FindModel = Callable[[str, str], str | None]
"""(game, alias or version) -> key of a registered model, None where there is none."""

_CHOSEN = re.compile(r"chosen\((?P<choice>[^)]+)\)")


def seats_of(
    plan: Plan,
    nodes: Mapping[str, Node],
    name: str,
    stage: Stage,
    game: str,
    find_model: FindModel,
) -> list[Seat]:
    """The seats of an arena stage; BadConfig for a player whom nobody knows."""
    seats: list[Seat] = []
    for player in stage.players or []:
        optional, player = player.endswith("?"), player.removesuffix("?")
        choice = None
        selectors = [player]
        if match := _CHOSEN.fullmatch(player):
            choice = match["choice"]
            if choice not in plan.choices:
                raise BadConfig(
                    f"stage {name}: player {player}: there is no such choice"
                    f"{did_you_mean(choice, plan.choices)}"
                )
            selectors = plan.choices[choice].among
        trained = [
            n
            for selector in selectors
            for n in select(nodes, selector)
            if n.kind == "train" and n.game == game
        ]
        if trained:
            seats += [
                Seat(name=node.label, node=node.name, optional=optional, choice=choice)
                for node in trained
            ]
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
                "models: see wmctl models list, and wmctl models import",
            )
    return seats


def seat_config(seat: Seat) -> dict[str, Any]:
    """A seat as the arena's settings have it, as far as it is known before anything has run."""
    model = None if seat.anchor else (seat.model or "models/pending/pending")
    return {"name": seat.name, "anchor": seat.anchor, "model": model}


def players_of(plan: Plan, nodes: Mapping[str, Node], node: Node) -> int:
    """How many of an arena's seats should be taken."""
    seats = [seat.node for seat in node.seats]
    count = seats.count(None)
    trained = {name for name in seats if name}
    for choice in plan.choices.values():
        among = {n.name for s in choice.among for n in select(nodes, s)} & trained
        by_choice = any(s.choice and s.node in among for s in node.seats)
        if among and (choice.fits or by_choice):
            trained -= among
            count += keep_count(choice.keep, len(among))
    return count + len(trained)
