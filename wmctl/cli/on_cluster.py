"""``wmctl submit --on kubernetes``: the run is handed over, and this machine may go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from wm.errors import Exit
from wmctl.cli.draft import Draft
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.names import conductor_name
from wmctl.launch.kubernetes.platform import Platform
from wmctl.launch.kubernetes.submit import check_cluster, launch, make_platform, manifests
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.objections import check
from wmctl.run.spec import RunSpec, submit
from wmctl.run.terms import Terms
from wmctl.show.link import page_link
from wmctl.show.outcome import show_outcome


def submit_there(
    made: Draft,
    terms: Terms,
    *,
    anew: bool,
    dry_run: str | None,
    accept: bool,
    namespace: str,
    images: Path,
    queue: str | None,
) -> int:
    """Hand the plan's run to the cluster; returns the exit code."""
    store, plan, nodes = made.store, made.plan, made.nodes
    platform = make_platform(
        store,
        plan,
        nodes,
        namespace=namespace,
        images=images,
        profiles=made.profiles,
        queue=queue,
    )
    if dry_run:
        _print(made.spec, platform, asked=Api.connect(namespace) if dry_run == "server" else None)
        return Exit.OK
    api = Api.connect(namespace)
    if not accept:
        check(terms.accepted)
        check_cluster(api, made.spec, platform)
    spec = submit(store, plan, nodes, anew=anew)
    state = read_state(spec, History(store, spec.run).events)
    if state.finished and state.finished.code == Exit.OK:
        click.echo(f"{spec.run} is finished; --new runs the plan again")
        return show_outcome(store, spec, state)
    if launch(api, store, spec, platform, terms):
        click.echo(f"{spec.run} is handed to the cluster; store {store.url}")
    else:
        click.echo(f"{spec.run} is under way already; store {store.url}")
    _say_how_to_follow(spec.run, namespace)
    click.echo(f"page: {page_link(store, spec.run)}")
    return Exit.OK


def _print(spec: RunSpec, platform: Platform, asked: Api | None) -> None:
    bodies: list[dict[str, Any]] = list(manifests(spec, platform))
    if asked:
        bodies = [asked.apply(body, dry_run=True) for body in bodies]
    click.echo(yaml.safe_dump_all(bodies, sort_keys=False), nl=False)


def _say_how_to_follow(run: str, namespace: str) -> None:
    rows = {
        f"wmctl status {run} --watch": "how far it is",
        f"wmctl logs {run} -f": "what its stages say",
        f"kubectl -n {namespace} logs -f job/{conductor_name(run)}": "what its conductor says",
        f"wmctl report {run}": "what came of it, so far",
        f"wmctl cancel {run}": "end it; what is done stays",
    }
    width = max(map(len, rows))
    for command, what in rows.items():
        click.echo(f"  {command:{width}}  {what}")
