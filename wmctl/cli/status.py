"""``wmctl status``: how far a run is."""

from __future__ import annotations

import json
import sys
import time

import click
from rich.console import Console
from rich.live import Live

from wm.store import open_store
from wmctl.run.find import find_run
from wmctl.run.heartbeat import read_heartbeat
from wmctl.run.history import History
from wmctl.run.state import read_state
from wmctl.show.columns import show
from wmctl.show.outcome import show_outcome
from wmctl.show.progress import table

WATCH_EVERY = 1.0
"""Seconds between looks."""


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Keep looking until the run is finished.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, run: str | None, watch: bool, as_json: bool) -> int:
    """Show the stages of RUN (default: the newest run) and its verdicts.

    \b
    Examples:
      wmctl status
      wmctl status demo-1122-k3f9 --watch
    """
    opened = open_store(store)
    spec = find_run(opened, run)
    if watch and not as_json:
        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                state = read_state(spec, History(opened, spec.run).events)
                live.update(table(spec, state, opened), refresh=True)
                if state.finished:
                    break
                time.sleep(WATCH_EVERY)
    state = read_state(spec, History(opened, spec.run).events)
    if as_json:
        stages = {}
        for node in spec.nodes:
            own = state.nodes[node.name]
            beat = read_heartbeat(opened, spec.run, node.name, own.attempt)
            stages[node.label] = {
                "phase": own.phase,
                "attempt": own.attempt,
                "heartbeat": beat.model_dump() if beat else None,
                "result": own.result,
            }
        verdicts = {name: event.outcome for name, event in state.verdicts.items()}
        json.dump({"run": spec.run, "stages": stages, "verdicts": verdicts}, sys.stdout, indent=1)
        click.echo()
        return 0
    if not watch:
        click.echo(spec.run)
        show(table(spec, state, opened))
    if state.finished:
        show_outcome(opened, spec, state)
    return 0
