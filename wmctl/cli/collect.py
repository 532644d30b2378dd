"""``wmctl collect``: bring a run's results home."""

from __future__ import annotations

from pathlib import Path

import click

from wm.errors import StoreUnreachable
from wm.store import Store, open_store
from wmctl.run.find import find_run
from wmctl.run.spec import RunSpec
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.transfer.collect import Collected, collect_run
from wmctl.transfer.progress import show_progress


@click.command()
@click.argument("run")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--datasets", is_flag=True, help="Data sets too, not only their manifests.")
@click.option("--checkpoints", is_flag=True, help="Checkpoints too.")
@click.pass_obj
def command(store: str, run: str, folder: Path, datasets: bool, checkpoints: bool) -> None:
    """Bring the results of RUN (an id or its beginning) into the folder DIR.

    While the run goes on, this is what there is so far. The same command fetches what is new or
    was not whole, and nothing else; every file is checked.

    \b
    What lies in DIR afterwards:
      RUN.html                    the report, to open in a browser
      RUN.json                    verdicts with evidence, figures and lineage
      runs/RUN/STAGE/ATTEMPT/     logs, metrics, outcomes, arena results
      models/NAME/VERSION/        weights, card
      datasets/NAME/FINGERPRINT/  manifest, what was rejected; with --datasets the shards

    DIR is a store itself: `wmctl --store DIR report RUN` and the other commands read it, and
    several runs may share it.

    \b
    Examples:
      wmctl collect demo-1122-k3f9 results/
      wmctl collect overnight results/ --checkpoints
    """
    opened = open_store(store)
    collect_and_tell(
        opened, find_run(opened, run), folder, datasets=datasets, checkpoints=checkpoints
    )


def collect_and_tell(
    store: Store,
    spec: RunSpec,
    folder: Path,
    *,
    datasets: bool = False,
    checkpoints: bool = False,
) -> None:
    """Collect with a progress bar and say what is there."""
    try:
        with show_progress() as progress:
            collected = collect_run(
                store, spec, folder, progress, datasets=datasets, checkpoints=checkpoints
            )
    except StoreUnreachable as error:
        error.hint = error.hint.replace("submit again", "collect again: it goes on from here")
        raise
    _tell(spec, folder, collected)


def _tell(spec: RunSpec, folder: Path, collected: Collected) -> None:
    table = columns(spec.run, "files", "size")
    for kind, files in sorted(collected.files.items()):
        table.add_row(kind, f"{files:,}", phrases.size(collected.bytes[kind]))
    show(table)
    fetched = phrases.count(collected.fetched_files, "file")
    if collected.fetched_files:
        click.echo(f"{fetched} fetched, {phrases.size(collected.fetched_bytes)}")
    else:
        click.echo("nothing new; all of it was there already")
    click.echo(f"report: {collected.page}")
    if not collected.finished:
        again = f"wmctl collect {spec.run} {folder}"
        click.echo(f"{spec.run} is not finished; what comes later: {again}")
