"""``wmctl rehearse``: nights of a plan on a simulated cluster, before anything is paid for."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import click

from wmctl.cli.draft import Draft, make_draft, plan_options, profiles_option
from wmctl.launch.simulation.chance import draw
from wmctl.launch.simulation.night import EVENING, Night, simulate
from wmctl.run.spec import RunSpec
from wmctl.run.terms import On
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.show.planned import planned_whole


@click.command()
@plan_options
@profiles_option
@click.option("--nights", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed, the same nights."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(
    store: str,
    /,
    nights: int,
    seed: int,
    as_json: bool,
    *,
    plan: str,
    data: tuple[str, ...],
    sets: tuple[str, ...],
    only: tuple[str, ...],
    cpus: int | None,
    on: On,
    profiles: Path,
) -> None:
    """Simulate nights of PLAN, with reclaimed nodes, crashes, hangs and other prices.

    The conductor and the plan's rules are the real ones; the cluster and the clock are not. Stages
    take what they are estimated to take, give or take what that is doubted by.

    \b
    Example:
      wmctl rehearse overnight --on kubernetes --nights 500
    """
    made = make_draft(
        store, plan, data=data, sets=sets, only=only, on=on, cpus=cpus, profiles=profiles
    )
    logging.getLogger("wm.conductor").setLevel(logging.ERROR)  # of a hundred nights too much
    luck = Random(seed)
    seconds = planned_whole(made.spec, made.state, made.now)["seconds"]
    seen = summary(made, [_night(made, luck, seconds) for _ in range(nights)])
    if as_json:
        click.echo(json.dumps(seen, indent=1))
        return
    click.echo(f"{phrases.count(nights, 'night')} of {made.plan.name}, with what may go wrong:")
    table = columns("", "", wrap="")
    table.show_header = False
    for name, value in _rows(seen):
        table.add_row(name, value)
    show(table)


def _night(made: Draft, luck: Random, seconds: float) -> Night:
    spec = RunSpec.model_validate(made.spec.model_dump() | {"created": EVENING})
    deadline = made.terms.deadline
    terms = made.terms.model_copy(
        update={"deadline": None if deadline is None else EVENING + deadline - made.now}
    )
    return simulate(spec, terms, draw(luck, spec.nodes, terms, seconds))


def summary(made: Draft, nights: list[Night]) -> dict[str, Any]:
    """What came of the nights, for machines."""
    outcomes: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    in_time = over = 0
    for night in nights:
        verdicts = [event for event in night.events if event.event == "verdict"]
        outcomes.update(event.outcome for event in verdicts)
        happened.update({event.event for event in night.events})
        last = max((event.time for event in verdicts), default=EVENING)
        in_time += night.terms.deadline is None or last <= night.terms.deadline
        over += made.plan.budget is not None and night.usd > made.plan.budget
    seconds = sorted(night.events[-1].time - EVENING for night in nights)
    usd = sorted(night.usd for night in nights)
    return {
        "nights": len(nights),
        "in_time": in_time,
        "over_budget": over,
        "verdicts": dict(outcomes),
        "seconds": {"median": _share(seconds, 0.5), "worst": _share(seconds, 0.95)},
        "usd": {"median": _share(usd, 0.5), "worst": _share(usd, 0.95)},
        "nights_with": {kind: happened[kind] for kind in ("shortened", "skipped", "hung", "over")},
    }


def _rows(seen: dict[str, Any]) -> list[tuple[str, str]]:
    verdicts = ", ".join(f"{name} {count}" for name, count in sorted(seen["verdicts"].items()))
    times, usd, had = seen["seconds"], seen["usd"], seen["nights_with"]
    return [
        ("verdict by the deadline", f"{seen['in_time']} of {seen['nights']}"),
        ("over the budget", str(seen["over_budget"])),
        ("verdicts (of made-up figures)", verdicts or "none"),
        ("time", f"{phrases.duration(times['median'])}, in one of twenty nights more than "
                 f"{phrases.duration(times['worst'])}"),
        ("cost", f"{phrases.money(usd['median'])}, in one of twenty nights more than "
                 f"{phrases.money(usd['worst'])}"),
        ("nights with", ", ".join(f"{name} {count}" for name, count in had.items())),
    ]  # fmt: skip


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
