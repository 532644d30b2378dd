"""``wmctl runs``: the runs in the store."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from wm.store import open_store
from wmctl.run.find import list_runs
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.show.columns import columns, show


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, as_json: bool) -> None:
    """List the runs in the store, the newest first."""
    opened = open_store(store)
    rows: list[dict[str, Any]] = []
    for spec in list_runs(opened):
        state = read_state(spec, History(opened, spec.run).events)
        phases = [node.phase for node in state.nodes.values()]
        rows.append(
            {
                "run": spec.run,
                "plan": spec.plan.name,
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(spec.created)),
                "stages": f"{phases.count('done')}/{len(phases)}",
                "state": "finished" if state.finished else "open",
                "verdicts": {name: event.outcome for name, event in state.verdicts.items()},
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        click.echo(f"there are no runs in {opened.url}; start one: wmctl submit demo")
        return
    table = columns("run", "created", "stages", "state", "verdicts")
    for row in rows:
        verdicts = ", ".join(f"{k} {v}" for k, v in row["verdicts"].items())
        table.add_row(*(str(row[k]) for k in ("run", "created", "stages", "state")), verdicts)
    show(table)
