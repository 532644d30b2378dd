"""``wmctl submit``: run a plan to its verdict, or go on where an earlier submission stopped."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from wm.errors import Exit
from wm.stage.signals import stop_on_signal
from wm.store import Store
from wm.store.lease import Lease, LeaseHeld, Owner
from wmctl.cli.cluster import platform_options
from wmctl.cli.draft import make_draft, plan_options, profiles_option
from wmctl.launch.local import LocalLauncher
from wmctl.notify import open_notifier
from wmctl.report.page import PageKeeper
from wmctl.run.conductor import LEASE_TTL, Conductor
from wmctl.run.fold import read_state
from wmctl.run.history import Event, History
from wmctl.run.objections import check, objections
from wmctl.run.spec import RunSpec, submit
from wmctl.run.state import RunState
from wmctl.run.terms import On, Terms
from wmctl.show import phrases
from wmctl.show.link import page_link
from wmctl.show.outcome import show_outcome
from wmctl.show.progress import LiveProgress, PlainProgress, Progress


@click.command()
@plan_options
@click.option("--new", is_flag=True, help="Start another run though this plan has one already.")
@click.option(
    "--accept",
    is_flag=True,
    help="Submit what does not fit deadline or budget, or what no node could run.",
)
@click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    help="On Kubernetes: print the objects, checked here or by the API server; submit nothing.",
)
@profiles_option
@platform_options
@click.pass_obj
def command(
    store: str,
    /,
    plan: str,
    data: tuple[str, ...],
    sets: tuple[str, ...],
    only: tuple[str, ...],
    new: bool,
    cpus: int | None,
    on: On,
    accept: bool,
    profiles: Path,
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
      wmctl submit overnight --set scale=mini
      wmctl --store s3://bucket/wm submit overnight --on kubernetes
    """
    made = make_draft(
        store, plan, data=data, sets=sets, only=only, on=on, cpus=cpus, profiles=profiles
    )
    against = objections(made.spec, made.state, made.now)
    terms = made.terms.model_copy(update={"accepted": against})
    if on == "kubernetes":
        from wmctl.cli.on_cluster import submit_there

        return submit_there(made, terms, anew=new, accept=accept, **cluster)
    opened = made.store
    spec = submit(opened, made.plan, made.nodes, anew=new)
    state = read_state(spec, History(opened, spec.run).events)
    if state.finished and state.finished.code == Exit.OK:
        click.echo(f"{spec.run} is finished; --new runs the plan again")
    else:
        if not accept and not state.since:  # what is under way is taken up again in any case
            check(against)
        click.echo(f"{spec.run}: {phrases.count(len(spec.nodes), 'stage')}; store {opened.url}")
        click.echo(f"page: {page_link(opened, spec.run)}")
        _conduct(opened, spec, terms)
        state = read_state(spec, History(opened, spec.run).events)
    return show_outcome(opened, spec, state)


def _conduct(store: Store, spec: RunSpec, terms: Terms) -> None:
    with ExitStack() as stack:
        lease = stack.enter_context(_lease(store, spec))
        launcher = stack.enter_context(LocalLauncher())
        progress: Progress = PlainProgress(spec, store)
        if sys.stdout.isatty():
            progress = stack.enter_context(LiveProgress(spec, store))
        page = PageKeeper(store, spec)
        notifier = stack.enter_context(
            open_notifier(store, spec, lambda: page_link(store, spec.run))
        )

        def tell(event: Event) -> None:
            progress.tell(event)
            page.tell(event)
            notifier.tell(event)

        def tick(state: RunState) -> None:
            progress.tick(state)
            page.tick(state)

        conductor = Conductor(spec, store, launcher, cpus=terms.cpus, tell=tell, tick=tick)
        stop_on_signal(conductor.interrupted)
        conductor.run(lease, terms=terms)


def _lease(store: Store, spec: RunSpec) -> Lease:
    try:
        return Lease.acquire(store, f"runs/{spec.run}/lease.json", Owner.here(), LEASE_TTL)
    except LeaseHeld as error:
        error.message = f"{spec.run} is under way already: {error.message}"
        error.hint = f"wmctl status {spec.run} --watch shows it; or {error.hint}"
        raise
