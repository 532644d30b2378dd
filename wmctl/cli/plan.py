"""``wmctl plan``: what a plan would run, cost and take, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from wm.errors import BadConfig
from wmctl.cli.draft import Draft, make_draft, plan_options, profiles_option
from wmctl.launch.profiles import tflops_of
from wmctl.run.rules import weigh_bets
from wmctl.run.scenarios import scenarios
from wmctl.run.terms import On
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.show.planned import Row, planned_rows, planned_whole


@click.command()
@plan_options
@profiles_option
@click.option(
    "--scenarios", "as_scenarios", is_flag=True, help="What could be trained in how long."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every resolved setting.")
@click.pass_obj
def command(
    store: str,
    plan: str,
    data: tuple[str, ...],
    sets: tuple[str, ...],
    only: tuple[str, ...],
    cpus: int | None,
    on: On,
    profiles: Path,
    as_scenarios: bool,
    as_json: bool,
) -> None:
    """Check PLAN and show its stages, their work, time and cost; nothing is started.

    Times come from earlier runs on the same hardware in the store's ledger; where there are none
    they are guesses, and say so. The worst case is exceeded once in twenty times.

    \b
    Examples:
      wmctl plan demo
      wmctl plan overnight --on kubernetes
      wmctl plan overnight --scenarios
    """
    made = make_draft(
        store, plan, data=data, sets=sets, only=only, on=on, cpus=cpus, profiles=profiles
    )
    if as_scenarios:
        _scenarios(made, as_json)
        return
    rows, whole = (
        planned_rows(made.spec, made.state, made.now),
        planned_whole(made.spec, made.state, made.now),
    )
    if as_json:
        click.echo(json.dumps(_as_json(made, rows, whole), indent=1))
        return
    checked = made.plan
    click.echo(f"{checked.name}: {checked.about}" if checked.about else checked.name)
    _stages(rows)
    _bets(made)
    _totals(made, whole)


def _stages(rows: list[Row]) -> None:
    table = columns("stage", "needs", "work", "time", "worst", "cost", "done by", "from",
                    wrap="needs")  # fmt: skip
    for row in rows:
        table.add_row(
            row.label,
            row.needs,
            row.work,
            phrases.duration(row.seconds),
            phrases.duration(row.worst),
            phrases.money(row.usd),
            phrases.hour(row.end) if row.end else row.note,
            row.source,
        )
    show(table)


def _bets(made: Draft) -> None:
    for name, choice in made.plan.choices.items():
        if not choice.fits:
            continue
        bets = weigh_bets(made.spec, made.state, name, made.now)
        fitting = [bet for bet in bets if not bet["misses"]]
        taken = (fitting or bets[:1])[-1]["label"]
        click.echo(f"\nchoice {name}: the boldest that fits, decided again when its turn comes")
        table = columns("bet", "cost", "risk", "finish", "", wrap="")
        for bet in bets:
            note = "taken" if bet["label"] == taken else ""
            table.add_row(
                bet["label"],
                phrases.money(bet["usd"]),
                f"{100 * bet['risk']:.0f} %",
                phrases.hour(bet["finish"]),
                f"no: {bet['misses']}" if bet["misses"] else note or "fits",
            )
        show(table)


def _totals(made: Draft, whole: dict[str, Any]) -> None:
    terms, budget = made.terms, made.plan.budget
    where = phrases.count(terms.cpus, "core") if terms.on == "local" else terms.on
    click.echo(
        f"\nabout {phrases.duration(whole['seconds'])} on {where}, "
        f"at worst {phrases.duration(whole['worst'])}: until {phrases.hour(whole['finish'])}"
        + (f", deadline {phrases.hour(terms.deadline)}" if terms.deadline else "")
    )
    cap = f" of {phrases.money(budget)}" if budget else ""
    worst = phrases.money(whole["usd_worst"])
    click.echo(f"about {phrases.money(whole['usd'])}{cap}, at worst {worst}")
    for objection in whole["objections"]:
        click.secho(f"does not fit: {objection}", fg="red")
    if not whole["objections"] and whole["gives_way"]:
        click.secho(f"tight: {whole['gives_way']}; trainings would be shortened", fg="yellow")


def _scenarios(made: Draft, as_json: bool) -> None:
    if made.plan.scenarios is None:
        raise BadConfig(
            f"plan {made.plan.name} says nothing of scenarios",
            hint="give it the key scenarios: models, games, epochs, hours and like",
        )
    rows = scenarios(
        made.plan.scenarios, made.store, made.plan, made.nodes, made.terms, tflops_of(made.profiles)
    )
    if as_json:
        click.echo(json.dumps([row.model_dump() for row in rows], indent=1))
        return
    hours = made.plan.scenarios.hours
    table = columns("model", "games", "epochs", "time", "cost", *(f"{h:g} h" for h in hours),
                    "data", "from")  # fmt: skip
    for row in rows:
        table.add_row(
            row.model, f"{row.games:,}", f"{row.epochs:g}", phrases.duration(3600 * row.hours),
            phrases.money(row.usd), *(row.fits[f"{h:g}"] for h in hours),
            phrases.size(row.bytes), row.source,
        )  # fmt: skip
    show(table)
    click.echo("tight: in time as expected, but not with what is to be reckoned with (95 %)")


def _as_json(made: Draft, rows: list[Row], whole: dict[str, Any]) -> dict[str, Any]:
    by_name = {row.name: row for row in rows}
    choices = [name for name, choice in made.plan.choices.items() if choice.fits]
    stages = [
        node.model_dump(mode="json") | by_name[node.name].model_dump(exclude={"name"})
        for node in made.nodes
    ]
    bets = {name: weigh_bets(made.spec, made.state, name, made.now) for name in choices}
    return {"plan": made.plan.name} | whole | {"bets": bets, "stages": stages}
