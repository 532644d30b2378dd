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
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.show.standing import standing, worked


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, as_json: bool) -> None:
    """List the runs in the store, the newest first."""
    opened = open_store(store)
    rows: list[dict[str, Any]] = []
    for spec in list_runs(opened):
        events = History(opened, spec.run).events
        state = read_state(spec, events)
        phases = [node.phase for node in state.nodes.values()]
        how = standing(spec, state, None, time.time())
        rows.append(
            {
                "run": spec.run,
                "plan": spec.plan.name,
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(spec.created)),
                "stages": f"{phases.count('done')}/{len(phases)}",
                "state": "finished" if state.finished else "open",
                "seconds": round(worked(events, how.now), 1),
                "usd": round(how.usd, 6),
                "budget": how.budget,
                "deadline": how.deadline,
                "deadline_kept": how.deadline_kept,
                "verdicts": {name: event.outcome for name, event in state.verdicts.items()},
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        click.echo(f"there are no runs in {opened.url}; start one: wmctl submit demo")
        return
    titles = ("run", "created", "stages", "state", "time", "cost", "deadline", "verdicts")
    table = columns(*titles)
    for row in rows:
        verdicts = ", ".join(f"{k} {v}" for k, v in row["verdicts"].items())
        cap = f" of {phrases.money(row['budget'])}" if row["budget"] else ""
        table.add_row(
            *(row[key] for key in titles[:4]),
            phrases.duration(row["seconds"]),
            f"{phrases.money(row['usd'])}{cap}",
            _deadline(row),
            verdicts,
        )
    show(table)


def _deadline(row: dict[str, Any]) -> str:
    if row["deadline_kept"] is not None:
        return "kept" if row["deadline_kept"] else "missed"
    return phrases.hour(row["deadline"]) if row["deadline"] else "none"
