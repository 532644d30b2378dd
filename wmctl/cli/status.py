"""``wmctl status``: how far a run is."""

from __future__ import annotations

import json
import sys
import time
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
from wmctl.run.history import History
from wmctl.run.phases import Phases, read_phases
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show.columns import WIDE
from wmctl.show.outcome import show_outcome
from wmctl.show.progress import table
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
    """Show the stages of RUN (default: the newest run), what they wait for, and its verdicts.

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
        Console(highlight=False, width=width).print(_picture(opened, spec, _state(opened, spec)))
    state = _state(opened, spec)
    if state.finished:
        show_outcome(opened, spec, state)
    if folder:
        from wmctl.cli.collect import collect_and_tell

        collect_and_tell(opened, spec, folder)
    return 0


def _watch(store: Store, spec: RunSpec) -> None:
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            try:
                state = _state(store, spec)
                live.update(_picture(store, spec, state), refresh=True)
            except StoreUnreachable as error:  # it may come back, and the run with it
                live.update(Text(error.message, "yellow"), refresh=True)
            else:
                if state.finished:
                    return
            time.sleep(WATCH_EVERY)


def _picture(store: Store, spec: RunSpec, state: RunState) -> Group:
    phases = Phases() if state.finished else read_phases(store, spec.run)
    lines = list(trees(phases))
    if not state.finished and store.head(f"runs/{spec.run}/platform.json"):
        from wmctl.launch.kubernetes.conductor import find_conductor

        if away := find_conductor(store, spec.run):
            lines += tree("conductor", away)
    return Group(Text(spec.run), table(spec, state, store, phases), *lines)


def _state(store: Store, spec: RunSpec) -> RunState:
    return read_state(spec, History(store, spec.run).events)


def _as_json(store: Store, spec: RunSpec) -> dict[str, object]:
    state = _state(store, spec)
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
        }
    verdicts = {name: event.outcome for name, event in state.verdicts.items()}
    return {
        "run": spec.run,
        "stages": stages,
        "verdicts": verdicts,
        "trouble": phases.trouble,
        "finished": state.finished.text if state.finished else None,
    }
