"""``wmctl status``: how far a run is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from wm.errors import StoreUnreachable
from wm.store import Store, open_store
from wmctl.run.find import find_run
from wmctl.run.fold import read_state
from wmctl.run.heartbeat import read_heartbeat
from wmctl.run.history import Event, History
from wmctl.run.outlook import read_outlook
from wmctl.run.phases import Phases, read_phases
from wmctl.run.spec import RunSpec
from wmctl.show.below import Below
from wmctl.show.columns import WIDE
from wmctl.show.decisions import decisions
from wmctl.show.outcome import show_outcome
from wmctl.show.progress import table
from wmctl.show.standing import standing
from wmctl.show.tree import tree, trees

WATCH_EVERY = 1.0
"""Seconds between looks."""


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Keep looking until the run is finished.")
@click.option(
    "--collect",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --watch: bring the results to this folder when the run is finished.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, run: str | None, watch: bool, folder: Path | None, as_json: bool) -> int:
    """Show the stages of RUN (default: the newest run), what they wait for, what the run has cost
    and when it should be over, what was decided, and its verdicts.

    \b
    Examples:
      wmctl status
      wmctl status demo-1122-k3f9 --watch
      wmctl status demo-1122-k3f9 --watch --collect results/
    """
    if folder and not watch:
        raise click.UsageError("--collect needs --watch; without it: wmctl collect RUN DIR")
    opened = open_store(store)
    spec = find_run(opened, run)
    if as_json:
        json.dump(_as_json(opened, spec), sys.stdout, indent=1)
        click.echo()
        return 0
    if watch:
        _watch(opened, spec)
    else:
        width = None if sys.stdout.isatty() else WIDE
        picture = _picture(opened, spec, _events(opened, spec), Below(opened, spec))
        Console(highlight=False, width=width).print(picture)
    state = read_state(spec, _events(opened, spec))
    if state.finished:
        show_outcome(opened, spec, state)
    if folder:
        from wmctl.cli.collect import collect_and_tell

        collect_and_tell(opened, spec, folder)
    return 0


def _watch(store: Store, spec: RunSpec) -> None:
    below = Below(store, spec)
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            try:
                events = _events(store, spec)
                live.update(_picture(store, spec, events, below), refresh=True)
            except StoreUnreachable as error:  # it may come back, and the run with it
                live.update(Text(error.message, "yellow"), refresh=True)
            else:
                if read_state(spec, events).finished:
                    return
            time.sleep(WATCH_EVERY)


def _picture(store: Store, spec: RunSpec, events: Sequence[Event], below: Below) -> Group:
    state = read_state(spec, events)
    phases = Phases() if state.finished else read_phases(store, spec.run)
    lines = list(trees(phases))
    if not state.finished and store.head(f"runs/{spec.run}/platform.json"):
        from wmctl.launch.kubernetes.conductor import find_conductor

        if away := find_conductor(store, spec.run):
            lines += tree("conductor", away)
    lines += below.lines(state, events)
    return Group(Text(spec.run), table(spec, state, store, phases), *lines)


def _events(store: Store, spec: RunSpec) -> list[Event]:
    return History(store, spec.run).events


def _as_json(store: Store, spec: RunSpec) -> dict[str, object]:
    events = _events(store, spec)
    state = read_state(spec, events)
    how = standing(spec, state, read_outlook(store, spec.run), time.time())
    phases = Phases() if state.finished else read_phases(store, spec.run)
    stages = {}
    for node in spec.nodes:
        own = state.nodes[node.name]
        beat = read_heartbeat(store, spec.run, node.name, own.attempt)
        seen = phases.stages.get(node.name)
        stages[node.label] = {
            "phase": own.phase,
            "attempt": own.attempt,
            "heartbeat": beat.model_dump() if beat else None,
            "platform": seen.model_dump(exclude={"job", "output"}) if seen else None,
            "result": own.result,
            "why": own.why,
            "usd": round(state.usd_of_node(node, how.now), 6),
        }
    verdicts = {name: event.outcome for name, event in state.verdicts.items()}
    return {
        "run": spec.run,
        "stages": stages,
        "verdicts": verdicts,
        "cost": how.cost(),
        "forecast": how.forecast(),
        "decisions": [line.as_json() for line in decisions(events)],
        "trouble": phases.trouble,
        "finished": state.finished.text if state.finished else None,
    }
