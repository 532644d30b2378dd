"""A plan's stages with what is expected of each, for people and machines."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from wmctl.plan.node import Node
from wmctl.run.forecast import estimate_of, forecast, planned
from wmctl.run.objections import objections
from wmctl.run.outlook import SURE
from wmctl.run.pressure import alternatives, misses
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState


class Row(BaseModel):
    """One stage of a plan."""

    name: str
    label: str
    needs: str
    work: str
    seconds: float
    worst: float
    """Seconds that it does not exceed with a probability of 95 %."""
    usd: float
    end: float
    """When it should be done, seconds since the epoch; 0 where that is open."""
    note: str = ""
    """Why that is open."""
    source: str


def planned_rows(spec: RunSpec, state: RunState, now: float) -> list[Row]:
    """A row per node, in the order in which they start."""
    out = alternatives(spec, state)
    ahead = forecast(spec, state, now, without=out)
    rows = []
    for node in spec.nodes:
        estimate = estimate_of(spec, state, node)
        if node.kind == "train":
            estimate = estimate.model_copy(update={"work": float(planned(state, node))})
        alone = forecast(
            spec, state, now, without={other.name for other in spec.nodes if other is not node}
        )
        seconds = alone.finish() - now
        rate = state.terms.prices.per_second(node, state.terms.on)
        rows.append(
            Row(
                name=node.name,
                label=node.label,
                needs=_needs(spec, node),
                work=estimate.amount(),
                seconds=seconds,
                worst=alone.finish(SURE) - now,
                usd=seconds * rate,
                end=0 if node.name in out else ahead.end_of(node.name),
                note="if chosen" if node.name in out else "",
                source=estimate.source,
            )
        )
    return rows


def planned_whole(spec: RunSpec, state: RunState, now: float) -> dict[str, Any]:
    """The run as a whole: time and cost, expected and at worst, and what speaks against it."""
    ahead = forecast(spec, state, now, without=alternatives(spec, state))
    return {
        "seconds": ahead.finish() - now,
        "worst": ahead.finish(SURE) - now,
        "finish": ahead.finish(),
        "deadline": state.terms.deadline,
        "usd": ahead.usd_at(),
        "usd_worst": ahead.usd_at(SURE),
        "budget": spec.plan.budget,
        "risk": ahead.risk(state.terms.deadline, spec.plan.budget),
        "objections": objections(spec, state, now),
        "gives_way": misses(spec, state, ahead, spec.plan.confidence),
    }


def _needs(spec: RunSpec, node: Node) -> str:
    """What a node takes, stages of which it takes every variant by their names alone."""
    labels: list[str] = []
    for need in (spec.node(name) for name in node.needs):
        whole = {n.name for n in spec.nodes if n.stage == need.stage} <= set(node.needs)
        labels.append(need.stage if whole else need.label)
    return ", ".join(dict.fromkeys(labels))
