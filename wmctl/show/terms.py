"""The terms of a run in words: where, until when, for how much, and how sure."""

from __future__ import annotations

from collections.abc import Callable

from wmctl.run.prices import Prices
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.run.terms import ANY_CPUS
from wmctl.show import phrases

UNITS = {"cpu": "core-hour", "gb_month": "GB-month kept", "gb_read": "GB read"}
"""Name of a price -> for what; of every other, a GPU's, for an hour of one."""


def price_now(state: RunState) -> Prices:
    """What the run is counted with at last."""
    return state.prices[-1][1] if state.prices else state.terms.prices


def users(spec: RunSpec, state: RunState, name: str) -> int:
    """How many stages the price of that name counts for."""
    here = state.terms.on == "local"
    if name in ("gb_month", "gb_read"):
        kind = {"gb_month": "encode", "gb_read": "train"}[name]
        counts = not (here and name == "gb_read")
        return sum(node.kind == kind for node in spec.nodes) if counts else 0
    wanted = [None if here else node.resources.gpu for node in spec.nodes]
    return sum(gpu == (None if name == "cpu" else name) for gpu in wanted)


def terms_rows(spec: RunSpec, state: RunState, moment: Callable[[float], str]) -> dict[str, str]:
    """Name -> what holds since the newest submission; ``moment`` writes points in time."""
    terms, plan = state.terms, spec.plan
    where: str = terms.on
    if terms.on == "local":
        where = "this machine"
        if terms.cpus < ANY_CPUS:
            where += f", {phrases.count(terms.cpus, 'core')}"
    rows = {
        "on": f"{where} ({terms.hardware})" if terms.hardware not in ("", terms.on) else where,
        "deadline": moment(terms.deadline) if terms.deadline else "none",
        "budget": phrases.money(plan.budget) if plan.budget else "none",
        "prices": _prices(spec, state),
    }
    if terms.deadline or plan.budget:
        rows["confidence"] = f"{100 * plan.confidence:g} %; what is less sure gives way"
    if terms.accepted:
        rows["accepted"] = "; ".join(terms.accepted)
    return rows


def _prices(spec: RunSpec, state: RunState) -> str:
    """Those that matter: that count for a stage and are not nothing."""
    shown = [
        f"{phrases.money(usd)} a {UNITS.get(name, f'{name}-hour')}"
        for name, usd in phrases.price_rows(price_now(state)).items()
        if users(spec, state, name) and (usd or name not in UNITS)
    ]
    return ", ".join(shown) or "nothing costs anything"
