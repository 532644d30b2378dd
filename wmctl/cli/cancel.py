"""``wmctl cancel``: end a run; its stages save their state first."""

from __future__ import annotations

import time

import click

from wm.errors import Exit, InputMissing
from wm.store import Store, open_store
from wm.store.lease import Lease, LeaseHeld, Owner
from wmctl.run.cancel import ask_to_cancel
from wmctl.run.conductor import LEASE_TTL
from wmctl.run.find import find_run
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

WAIT = 120.0
"""Seconds that the run's end is waited for."""
LOOK_EVERY = 0.5
"""Seconds between two looks."""


@click.command()
@click.argument("run")
@click.option("--wait/--no-wait", default=True, help="Wait until the run has ended.")
@click.pass_obj
def command(store: str, run: str, wait: bool) -> int:
    """End RUN: its stages save their state, and nothing else is started.

    Submitting the plan again goes on from there.

    \b
    Examples:
      wmctl cancel overnight-1122-k3f9
    """
    opened = open_store(store)
    spec = find_run(opened, run)
    if _state(opened, spec).finished:
        click.echo(f"{spec.run} has ended already")
        return Exit.OK
    wish = ask_to_cancel(opened, spec.run)
    if _end_here(opened, spec, wish.by):
        click.echo(f"{spec.run} is cancelled; nobody was at work on it")
        return Exit.OK
    click.echo(f"{spec.run} is asked to end")
    until = time.monotonic() + (WAIT if wait else 0)
    while time.monotonic() < until:
        if _state(opened, spec).finished:
            click.echo(f"{spec.run} is cancelled")
            return Exit.OK
        time.sleep(LOOK_EVERY)
    if wait:
        raise InputMissing(
            f"{spec.run} has not ended within {WAIT:.0f} s",
            hint=f"its conductor may be away: wmctl status {spec.run}",
        )
    return Exit.OK


def _state(store: Store, spec: RunSpec) -> RunState:
    return read_state(spec, History(store, spec.run).events)


def _end_here(store: Store, spec: RunSpec, by: str) -> bool:
    """Write the end of a run that no conductor is at work on; False where one is."""
    state = _state(store, spec)
    if any(node.phase == "running" for node in state.nodes.values()):
        return False  # its stages may live on a cluster: only a conductor can stop them
    try:
        with Lease.acquire(store, f"runs/{spec.run}/lease.json", Owner.here(), LEASE_TTL):
            history = History(store, spec.run)
            history.append("cancelled", text=f"cancelled by {by}")
            history.append("finished", code=Exit.PREEMPTED, text=f"cancelled by {by}")
    except LeaseHeld:
        return False
    return True
