"""``wmctl report``: write a run's report and show its verdict."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wm.errors import BadConfig
from wm.store import open_store
from wmctl.report.collect import collect
from wmctl.report.page import publish, render
from wmctl.run.find import find_run
from wmctl.show.outcome import show_outcome


@click.command()
@click.argument("run", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the page here too.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; write nothing.")
@click.pass_obj
def command(store: str, run: str | None, output: Path | None, as_json: bool) -> None:
    """Write the report of RUN (default: the newest run) and show its verdicts."""
    opened = open_store(store)
    report = collect(opened, find_run(opened, run))
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
        return
    publish(opened, report)
    if output:
        _write(output, render(report))
    click.echo(report.spec.run)
    show_outcome(opened, report.spec, report.state)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadConfig(f"{path} cannot be written: {error.strerror}") from error
