"""``wmctl doctor``: check now what would fail later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from wm.errors import Exit
from wmctl.cli.cluster import platform_options
from wmctl.cli.draft import profiles_option
from wmctl.doctor import here, storage
from wmctl.doctor.check import Row, look_at


@click.command()
@click.argument("plan", required=False)
@click.option(
    "--on",
    type=click.Choice(["local", "kubernetes"]),
    envvar="WM_ON",
    default="local",
    show_default=True,
    help="Where stages are to run (WM_ON).",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Here: this check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@profiles_option
@platform_options
@click.pass_obj
def command(
    store: str,
    /,
    plan: str | None,
    on: str,
    only: tuple[str, ...],
    as_json: bool,
    **cluster: Any,
) -> int:
    """Check everything that could fail later; exit 0 only if a run can succeed.

    Here: the packages, this machine and the store. On Kubernetes: the API server and the rights
    on it, the training operator, quota and nodes (against PLAN where one is given), the images,
    and the store from here and from inside the cluster, by a Job of a few seconds.

    \b
    Examples:
      wmctl doctor
      wmctl doctor --on kubernetes overnight
    """
    if plan and on == "local":
        raise click.UsageError("a plan is checked against a cluster: --on kubernetes")
    if only and on == "kubernetes":
        raise click.UsageError("--only chooses among the checks made here: --on local")
    rows = []
    for row in _rows(store, plan, on, cluster, only):
        rows.append(row)
        if not as_json:
            click.secho("✓ " if row.passed else "✗ ", fg="green" if row.passed else "red", nl=False)
            click.echo(f"{row.check}: {row.text}")
    if as_json:
        click.echo(json.dumps([row.model_dump() for row in rows], indent=1, ensure_ascii=False))
    return Exit.OK if all(row.passed for row in rows) else Exit.BAD_CONFIG


def _rows(
    store: str, plan: str | None, on: str, cluster: dict[str, Any], only: tuple[str, ...]
) -> Iterator[Row]:
    if on == "kubernetes":
        from wmctl.doctor.cluster import Examination

        yield from Examination(store, plan, **cluster).rows()
        return
    checks = [*here.checks(), *storage.checks(store)]
    names = [name for name, _ in checks]
    for name in only:
        if name not in names:
            raise click.UsageError(f"there is no check {name!r}; there are {', '.join(names)}")
    yield from look_at([check for check in checks if not only or check[0] in only])
