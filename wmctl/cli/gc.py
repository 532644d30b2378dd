"""``wmctl gc``: clear finished runs away from a cluster."""

from __future__ import annotations

import click

from wm.errors import BadConfig, Exit
from wm.store import NotFound, Store, open_store
from wmctl.cli.cluster import namespace_option
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.clear import clear, runs_on
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.spec import read_spec
from wmctl.show import phrases


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--force", is_flag=True, help="Also a run that has not finished.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@namespace_option
@click.pass_obj
def command(store: str, runs: tuple[str, ...], force: bool, dry_run: bool, namespace: str) -> int:
    """Delete the objects of RUNS (default: of every finished run) from the cluster.

    Only the cluster is cleared: logs, models and reports are in the store and stay there.

    \b
    Examples:
      wmctl gc --dry-run
      wmctl gc overnight-1122-k3f9
    """
    opened = open_store(store)
    api = Api.connect(namespace)
    present = runs_on(api)
    for run in runs:
        if run in present and not force and not _is_finished(opened, run):
            raise BadConfig(
                f"{run} has not finished",
                hint=f"wmctl cancel {run} ends it; --force clears it away as it is",
            )
    chosen = [run for run in present if run in runs or (not runs and _is_finished(opened, run))]
    for run in chosen:
        if dry_run:
            click.echo(f"{run}: {phrases.count(present[run], 'object')} would go")
        else:
            click.echo(f"{run}: {phrases.count(clear(api, run), 'object')} deleted")
    if not chosen:
        click.echo(f"nothing to clear away in namespace {namespace}")
    return Exit.OK


def _is_finished(store: Store, run: str) -> bool:
    """Whether the store says so; a run that another store knows is left alone."""
    try:
        return read_state(read_spec(store, run), History(store, run).events).finished is not None
    except NotFound:
        return False
