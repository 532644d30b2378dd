"""``wmctl plan``: what a plan would run, before anything starts."""

from __future__ import annotations

import json

import click

from wm.store import open_store
from wmctl.launch.local import cpu_count
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.plan.references import model_finder
from wmctl.run.estimate import estimate, makespan
from wmctl.show import phrases
from wmctl.show.columns import columns, show


@click.command()
@click.argument("plan")
@click.option("--data", multiple=True, metavar="NAME=SOURCE", help="Read NAME from SOURCE instead.")
@click.option("--set", "sets", multiple=True, metavar="A.B=C", help="Change a key of the plan.")
@click.option("--cpus", type=click.IntRange(1), help="Processor cores to use (default: all).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every resolved setting.")
@click.pass_obj
def command(
    store: str,
    plan: str,
    data: tuple[str, ...],
    sets: tuple[str, ...],
    cpus: int | None,
    as_json: bool,
) -> None:
    """Check PLAN and show its stages, their work and their times; nothing is started.

    Times come from earlier runs in the store; where there are none they are guesses, and say so.
    """
    opened = open_store(store)
    checked = load_plan(plan, data=data, sets=sets)
    nodes = resolve(checked, model_finder(opened))
    estimates = estimate(opened, nodes)
    total = makespan(nodes, {k: e.seconds for k, e in estimates.items()}, cpus or cpu_count())
    if as_json:
        rows = [
            node.model_dump(mode="json")
            | {
                "work": str(estimates[node.name].work),
                "seconds": estimates[node.name].seconds,
                "source": estimates[node.name].source,
            }
            for node in nodes
        ]
        click.echo(json.dumps({"plan": checked.name, "seconds": total, "stages": rows}, indent=1))
        return
    table = columns("stage", "needs", "work", "time", "from", wrap="needs")
    labels = {node.name: node.label for node in nodes}
    for node in nodes:
        own = estimates[node.name]
        needs = ", ".join(labels[need] for need in node.needs)
        table.add_row(node.label, needs, str(own.work), phrases.duration(own.seconds), own.source)
    click.echo(f"{checked.name}: {checked.about}" if checked.about else checked.name)
    show(table)
    deadline = checked.deadline
    limit = f", deadline {phrases.duration(deadline.total_seconds())}" if deadline else ""
    cores = phrases.count(cpus or cpu_count(), "core")
    click.echo(f"about {phrases.duration(total)} on {cores}{limit}")
