"""The table that people made by hand: model by games by epochs, against the hours of a night."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from pydantic import BaseModel, TypeAdapter

from wm.errors import BadConfig
from wm.games.melee.schema import FRAME
from wm.models.config import ModelConfig
from wm.models.size import parameters
from wm.store import Store
from wmctl.plan.expect import ROWS_PER_GAME
from wmctl.plan.model import Plan, Scenarios
from wmctl.plan.node import Node, select
from wmctl.run.estimate import targets_per_step
from wmctl.run.ledger import estimates
from wmctl.run.terms import Terms

SURE = 0.95
"""Probability with which a time that is not tight is kept."""
BYTES_PER_PLY = 3
"""A move and a phase."""

_MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


class Scenario(BaseModel):
    """One line of the table."""

    model: str
    parameters: int
    games: int
    epochs: float
    targets_per_s: float
    hours: float
    usd: float
    bytes: int
    """Of the encoded data set."""
    fits: dict[str, str]
    """Hours -> ``yes``, ``tight`` or ``no``."""
    source: str


def train_hours(targets: float, targets_per_s: float, epochs: float = 1.0) -> float:
    """Hours of training over so many targets an epoch."""
    return targets * epochs / targets_per_s / 3600


def scenarios(
    wanted: Scenarios,
    store: Store,
    plan: Plan,
    nodes: Sequence[Node],
    terms: Terms,
    tflops: Mapping[str, float],
) -> list[Scenario]:
    """Every model with every size of data and number of epochs, on the hardware of ``like``."""
    by_name = {node.name: node for node in nodes}
    found = [node for node in select(by_name, wanted.like) if node.kind == "train"]
    if not found:
        raise BadConfig(f"scenarios: {wanted.like!r} is no train stage")
    like, rows = found[0], []
    models = {name: _with_model(like, name, shape) for name, shape in wanted.models.items()}
    known = estimates(
        store, plan, models.values(), on=terms.on, hardware=terms.hardware, tflops=tflops
    )
    # validation and test games are not trained on
    share = like.expects.train / max(like.expects.games, 1)
    for name, node in models.items():
        estimate = known[node.name]
        pace = targets_per_step(node) / estimate.unit_s
        rate = terms.prices.per_second(node, terms.on)
        for games in wanted.games:
            targets = games * ROWS_PER_GAME[node.game]
            for epochs in wanted.epochs:
                hours = train_hours(targets * share, pace, epochs)
                worst = hours * math.exp(estimate.doubt * NormalDist().inv_cdf(SURE))
                rows.append(
                    Scenario(
                        model=name,
                        parameters=parameters(_MODEL.validate_python(node.config["model"])),
                        games=games,
                        epochs=epochs,
                        targets_per_s=round(pace, 1),
                        hours=hours,
                        usd=hours * 3600 * rate,
                        bytes=targets * (FRAME.itemsize if node.game == "melee" else BYTES_PER_PLY),
                        fits={f"{h:g}": _fits(hours, worst, h) for h in wanted.hours},
                        source=estimate.source,
                    )
                )
    return rows


def _with_model(like: Node, name: str, settings: Mapping[str, object]) -> Node:
    """The node with another model, its defaults filled in as a stage's settings would be."""
    model = {"kind": like.config["model"]["kind"], **settings}
    config = like.config | {"model": _MODEL.validate_python(model).model_dump(mode="json")}
    return like.model_copy(update={"config": config, "name": name})


def _fits(hours: float, worst: float, limit: float) -> str:
    if worst <= limit:
        return "yes"
    return "tight" if hours <= limit else "no"
