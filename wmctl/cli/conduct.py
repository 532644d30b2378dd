"""``wmctl conduct``: what a run's conductor does in its pod on a cluster."""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path

import click

from wm.errors import Exit, InputMissing, WmError, retryable
from wm.stage.harness import SIDE_PATIENCE
from wm.stage.log import LogShipper, log_to_stdout
from wm.stage.signals import stop_on_signal
from wm.store import Conflict, Store, open_store
from wm.store.lease import Lease, LeaseHeld, Owner
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.kinds import CONFIGMAPS
from wmctl.launch.kubernetes.launcher import KubernetesLauncher
from wmctl.launch.kubernetes.names import owner_name
from wmctl.launch.kubernetes.platform import read_platform
from wmctl.notify import open_notifier
from wmctl.report.page import PageKeeper
from wmctl.run.conductor import LEASE_TTL, Conductor
from wmctl.run.fold import read_state
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec, read_spec
from wmctl.run.state import RunState
from wmctl.run.terms import ANY_CPUS
from wmctl.show.link import page_link
from wmctl.show.progress import LogProgress

logger = logging.getLogger("wm.conductor")


@click.command()
@click.argument("run")
@click.pass_obj
def command(store: str, run: str) -> int:
    """Conduct RUN from inside a cluster. The Job that wmctl submit creates runs this."""
    stopping = threading.Event()
    stop_on_signal(stopping)
    log_to_stdout()
    opened, aside = open_store(store), open_store(store, patience=SIDE_PATIENCE)
    earlier = {entry.key.split("/")[3] for entry in opened.list(f"runs/{run}/conductor/")}
    prefix = f"runs/{run}/conductor/{len(earlier) + 1:02d}"
    with (
        tempfile.TemporaryDirectory(prefix="wm-") as folder,
        LogShipper(aside, prefix, Path(folder) / "log"),
    ):
        try:
            return _conduct(opened, aside, run, stopping)
        except (LeaseHeld, Conflict) as error:
            # Another conductor has the run: this one must go, and its Job must not fail.
            logger.info("%s", error.message)
            return Exit.PREEMPTED
        except WmError as error:
            logger.error("error: %s", error.message)
            if error.hint:
                logger.error("hint: %s", error.hint)
            return error.code
        except Exception:
            logger.exception("internal error")
            return Exit.BUG


def _conduct(store: Store, aside: Store, run: str, stopping: threading.Event) -> int:
    spec, platform = read_spec(store, run), read_platform(store, run)
    lease = _lease(store, spec, stopping)
    if lease is None:
        return Exit.PREEMPTED
    api = Api.connect(platform.namespace)
    owner = api.get(CONFIGMAPS, owner_name(run))
    if owner is None:
        raise InputMissing(
            f"the ConfigMap {owner_name(run)} is gone; somebody has cleared {run} away",
            hint="submit the plan again",
        )
    progress, page = LogProgress(spec, store), PageKeeper(store, spec)

    def tell(event: Event) -> None:
        progress.tell(event)
        page.tell(event)
        notifier.tell(event)

    def tick(state: RunState) -> None:
        progress.tick(state)
        page.tick(state)

    with (
        lease,
        KubernetesLauncher(
            api, platform, spec, owner["metadata"]["uid"], _deadline(store, spec)
        ) as launcher,
        open_notifier(aside, spec, lambda: page_link(store, run), unattended=True) as notifier,
    ):
        conductor = Conductor(spec, store, launcher, cpus=ANY_CPUS, tell=tell, tick=tick)
        conductor.interrupted = stopping
        code = conductor.run(lease, submitted=False)
    if stopping.is_set():
        logger.info("stopped; the stages go on, and so does the next conductor")
    elif retryable(code) or code == Exit.STORE_UNREACHABLE:
        code = Exit.ATTEMPTS_EXHAUSTED  # that was the run's end; its Job must not try again
    return code


def _deadline(store: Store, spec: RunSpec) -> float | None:
    """By the newest submission: a time of day was meant by the clock of whoever submitted."""
    return read_state(spec, History(store, spec.run).events).terms.deadline


def _lease(store: Store, spec: RunSpec, stopping: threading.Event) -> Lease | None:
    """The run's lease, waited for: a conductor that died cannot give it back."""
    said = ""
    while not stopping.is_set():
        try:
            return Lease.acquire(store, f"runs/{spec.run}/lease.json", Owner.here(), LEASE_TTL)
        except LeaseHeld as error:
            if error.message != said:
                said = error.message
                logger.info("waiting: %s", said)
        stopping.wait(1.0)
    return None
