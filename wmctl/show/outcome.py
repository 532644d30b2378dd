"""How a run ended, on the screen: verdicts, what failed, where the report is."""

from __future__ import annotations

import click

from wm.store import Store
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show.link import page_link

OUTCOME_COLOURS = {"promote": "green", "hold": "yellow", "stop": "red"}


def show_outcome(store: Store, spec: RunSpec, state: RunState) -> int:
    """Print the verdicts and the report's address; returns the run's exit code."""
    click.echo()
    for name in spec.plan.verdicts:
        event = state.verdicts.get(name)
        outcome = event.outcome if event else "open"
        click.secho(f"{name}: {outcome.upper()}", fg=OUTCOME_COLOURS.get(outcome), bold=True)
        if event and not event.detail:
            click.echo(f"  {event.text}")
        for evidence in event.detail.get("evidence", []) if event else []:
            click.echo(f"  {'✓' if evidence['holds'] else '✗'} {evidence['text']}")
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.phase == "failed" and own.last:
            click.echo(f"error: {node.label} failed: {own.last.text}", err=True)
            if own.last.hint:
                click.echo(f"hint: {own.last.hint}", err=True)
    click.echo(f"report: {_page(store, spec.run)}")
    if state.finished is None:
        click.echo(f"{spec.run} was stopped; submit the plan again to go on")
        return 143
    return state.finished.code or 0


def _page(store: Store, run: str) -> str:
    key = f"runs/{run}/index.html"
    if store.head(key) is None:
        return f"none yet; wmctl report {run} writes it"
    return page_link(store, run)
