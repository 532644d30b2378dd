"""``wmctl logs``: the log lines of a run's stages, of every attempt, during the run and after."""

from __future__ import annotations

import time

import click

from wm.errors import InputMissing
from wm.stage.spec import attempt_prefix
from wm.store import NotFound, Store, open_store
from wmctl.plan.graph import select
from wmctl.plan.words import did_you_mean
from wmctl.run.find import find_run
from wmctl.run.history import History
from wmctl.run.spec import RunSpec
from wmctl.run.state import read_state

FOLLOW_EVERY = 1.0
"""Seconds between looks for new lines."""


@click.command()
@click.argument("run", required=False)
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is finished.")
@click.option("--attempt", type=click.IntRange(1), help="Only this attempt (default: all).")
@click.pass_obj
def command(
    store: str, run: str | None, stage: str | None, follow: bool, attempt: int | None
) -> None:
    """Show the logs of RUN (default: the newest run), of all stages or of STAGE.

    \b
    Examples:
      wmctl logs -f
      wmctl logs demo-1122-k3f9 train-chess/winner
    """
    opened = open_store(store)
    spec = find_run(opened, run)
    stages = _stages(spec, stage)
    shown: dict[str, int] = {}
    while True:
        state = read_state(spec, History(opened, spec.run).events)
        for name in stages:
            newest = state.nodes[name].attempt
            for number in [attempt] if attempt else range(1, newest + 1):
                key = f"{attempt_prefix(spec.run, name, number)}/log.txt"
                _show_new(opened, key, shown, f"{name}: " if len(stages) > 1 else "")
        if not follow or state.finished:
            break
        time.sleep(FOLLOW_EVERY)
    if not shown:
        click.echo(f"{spec.run} has written no log yet", err=True)


def _stages(spec: RunSpec, stage: str | None) -> list[str]:
    if stage is None:
        return [node.name for node in spec.nodes]
    found = [node.name for node in select({n.name: n for n in spec.nodes}, stage)]
    if not found:
        labels = [node.label for node in spec.nodes]
        raise InputMissing(
            f"{spec.run} has no stage {stage!r}{did_you_mean(stage, labels)}",
            hint=f"its stages: {', '.join(labels)}",
        )
    return found


def _show_new(store: Store, key: str, shown: dict[str, int], prefix: str) -> None:
    """Print whole lines that were not printed yet; ``shown`` counts bytes by key."""
    try:
        text = store.get(key)
    except NotFound:
        return
    start, stop = shown.get(key, 0), text.rfind(b"\n") + 1
    for line in text[start:stop].decode(errors="replace").splitlines():
        click.echo(f"{prefix}{line}")
    shown[key] = max(start, stop)
