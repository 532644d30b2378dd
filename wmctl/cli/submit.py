"""``wmctl submit``: run a plan to its verdict, or go on where an earlier submission stopped."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

import click

from wm.errors import Exit
from wm.stage.signals import stop_on_signal
from wm.store import Store, open_store
from wm.store.lease import Lease, LeaseHeld, Owner
from wmctl.cli.cluster import platform_options
from wmctl.launch.local import LocalLauncher, cpu_count
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.plan.references import model_finder
from wmctl.report.page import PageKeeper
from wmctl.run.conductor import LEASE_TTL, Conductor
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec, submit
from wmctl.run.state import RunState, read_state
from wmctl.show import phrases
from wmctl.show.outcome import show_outcome
from wmctl.show.progress import LiveProgress, PlainProgress, Progress


@click.command()
@click.argument("plan")
@click.option("--data", multiple=True, metavar="NAME=SOURCE", help="Read NAME from SOURCE instead.")
@click.option("--set", "sets", multiple=True, metavar="A.B=C", help="Change a key of the plan.")
@click.option("--new", is_flag=True, help="Start another run though this plan has one already.")
@click.option("--cpus", type=click.IntRange(1), help="Here: processor cores to use [all].")
@click.option(
    "--on",
    type=click.Choice(["local", "kubernetes"]),
    envvar="WM_ON",
    default="local",
    show_default=True,
    help="Where stages run (WM_ON).",
)
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="On Kubernetes: print the objects, checked here or by the API server; submit nothing.",
)
@click.option("--accept", is_flag=True, help="On Kubernetes: submit what no node could run.")
@platform_options
@click.pass_obj
def command(
    store: str,
    /,
    plan: str,
    data: tuple[str, ...],
    sets: tuple[str, ...],
    new: bool,
    cpus: int | None,
    on: str,
    **cluster: Any,
) -> int:
    """Run PLAN (a shipped plan's name or a YAML file) to its verdict.

    Here, stages run as processes of this machine: Ctrl-C stops them after they have saved their
    state. On Kubernetes the run lives in the cluster, and this command returns at once. Either
    way, submitting the same plan again goes on from there and repeats nothing.

    \b
    Examples:
      wmctl submit demo
      wmctl submit demo --data melee=replays/ --data chess=games.pgn.xz
      wmctl submit my-plan.yaml --set stages.train-chess.steps=2000
      wmctl --store s3://bucket/wm submit demo --on kubernetes
    """
    opened = open_store(store)
    checked = load_plan(plan, data=data, sets=sets)
    nodes = resolve(checked, model_finder(opened))
    if on == "kubernetes":
        from wmctl.cli.on_cluster import submit_there

        return submit_there(opened, checked, nodes, anew=new, **cluster)
    spec = submit(opened, checked, nodes, anew=new)
    state = read_state(spec, History(opened, spec.run).events)
    if state.finished and state.finished.code == Exit.OK:
        click.echo(f"{spec.run} is finished; --new runs the plan again")
    else:
        click.echo(f"{spec.run}: {phrases.count(len(spec.nodes), 'stage')}; store {opened.url}")
        _conduct(opened, spec, cpus or cpu_count())
        state = read_state(spec, History(opened, spec.run).events)
    return show_outcome(opened, spec, state)


def _conduct(store: Store, spec: RunSpec, cpus: int) -> None:
    with ExitStack() as stack:
        lease = stack.enter_context(_lease(store, spec))
        launcher = stack.enter_context(LocalLauncher())
        progress: Progress = PlainProgress(spec, store)
        if sys.stdout.isatty():
            progress = stack.enter_context(LiveProgress(spec, store))
        page = PageKeeper(store, spec)

        def tell(event: Event) -> None:
            progress.tell(event)
            page.tell(event)

        def tick(state: RunState) -> None:
            progress.tick(state)
            page.tick(state)

        conductor = Conductor(spec, store, launcher, cpus=cpus, tell=tell, tick=tick)
        stop_on_signal(conductor.interrupted)
        conductor.run(lease)


def _lease(store: Store, spec: RunSpec) -> Lease:
    try:
        return Lease.acquire(store, f"runs/{spec.run}/lease.json", Owner.here(), LEASE_TTL)
    except LeaseHeld as error:
        error.message = f"{spec.run} is under way already: {error.message}"
        error.hint = f"wmctl status {spec.run} --watch shows it; or {error.hint}"
        raise
