"""``wmctl logs``: the log lines of a run's stages, of every attempt, during the run and after."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from wm.errors import InputMissing, StoreUnreachable
from wm.stage.chunks import LogReader, tail_start
from wm.stage.log import SHIP_EVERY
from wm.stage.spec import attempt_prefix, member_prefix
from wm.store import Store, open_store
from wmctl.plan.node import select
from wmctl.plan.words import did_you_mean
from wmctl.run.find import find_run
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

FOLLOW_EVERY = 1.0
"""Seconds between looks for new lines."""

CONDUCTOR = "conductor"
"""Instead of a stage: the conductor of a run on a cluster, whose attempts are its pods."""


@click.command()
@click.argument("run", required=False)
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run is finished.")
@click.option("--attempt", type=click.IntRange(1), help="Only this attempt (default: all).")
@click.option("--tail", type=click.IntRange(0), help="Of each log, begin with the last N lines.")
@click.pass_obj
def command(
    store: str,
    run: str | None,
    stage: str | None,
    follow: bool,
    attempt: int | None,
    tail: int | None,
) -> None:
    """Show the logs of RUN (default: the newest run), of all stages or of STAGE.

    On a cluster, STAGE may be "conductor": what decides and watches.

    \b
    Examples:
      wmctl logs -f
      wmctl logs demo-1122-k3f9 train-chess/winner --tail 20
    """
    opened = open_store(store, patience=FOLLOW_EVERY if follow else None)  # it tries on itself
    spec = find_run(opened, run)
    shown = _Shown(opened, spec, _stages(spec, stage), attempt, tail)
    trouble = False
    while True:
        try:
            state = read_state(spec, History(opened, spec.run).events)
            if follow and state.finished and stage == CONDUCTOR:  # it says so before it ends
                time.sleep(max(0, state.finished.time + 2 * SHIP_EVERY - time.time()))
            shown.show_new(state)
        except StoreUnreachable as error:
            if not follow:
                raise
            if not trouble:
                click.echo(f"{error.message}; still trying", err=True)
            trouble = True
        else:
            if trouble:
                click.echo("the store is back", err=True)
            trouble = False
            if not follow or state.finished:
                break
        time.sleep(FOLLOW_EVERY)
    if not shown.anything:
        click.echo(f"{spec.run} has written no log yet", err=True)


class _Shown:
    """What has been printed so far, of every log."""

    def __init__(
        self,
        store: Store,
        spec: RunSpec,
        stages: list[str],
        attempt: int | None,
        tail: int | None,
    ) -> None:
        self.anything = False
        self._store, self._spec, self._stages = store, spec, stages
        self._attempt, self._tail = attempt, tail
        self._logs: dict[str, _Log] = {}
        self._ended: set[str] = set()
        """Prefixes of logs that nothing comes to any more."""

    def show_new(self, state: RunState) -> None:
        """Print what came since the last time; ``state`` was read before."""
        for stage in self._stages:
            for number, ended in self._attempts(stage, state):
                prefix = attempt_prefix(self._spec.run, stage, number)
                if prefix not in self._ended:
                    self._show_attempt(stage, prefix, ended)
                if ended:
                    self._ended.add(prefix)

    def _attempts(self, stage: str, state: RunState) -> Iterator[tuple[int, bool]]:
        """Numbers of the attempts to show, and whether they have ended."""
        if stage == CONDUCTOR:
            entries = self._store.list(f"runs/{self._spec.run}/{CONDUCTOR}/")
            newest = max((int(entry.key.split("/")[3]) for entry in entries), default=0)
            at_work = state.finished is None
        else:
            newest = state.nodes[stage].attempt
            at_work = state.nodes[stage].phase == "running"
        for number in [self._attempt] if self._attempt else range(1, newest + 1):
            yield number, number < newest or not at_work

    def _show_attempt(self, stage: str, prefix: str, ended: bool) -> None:
        members = 1 if stage == CONDUCTOR else self._spec.node(stage).pods
        for member in range(members):
            label = f"{stage}[{member}]: " if members > 1 else f"{stage}: "
            alone = len(self._stages) == 1 and members == 1
            own = member_prefix(prefix, member)
            if own not in self._logs:
                self._logs[own] = _Log(self._store, own, "" if alone else label, self._tail)
            self.anything |= self._logs[own].show_new(ended)


class _Log:
    """One process's log, printed in whole lines."""

    def __init__(self, store: Store, prefix: str, label: str, tail: int | None) -> None:
        start = 0 if tail is None else tail_start(store, prefix, tail)
        self._reader = LogReader(store, prefix, start)
        self._label = label
        self._rest = b""

    def show_new(self, ended: bool) -> bool:
        """Print what is new; the last line also without its end if no more comes."""
        for data in self._reader.new():
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._show(line)
        if ended and self._rest:
            self._show(self._rest)
            self._rest = b""
        return self._reader.position > 0

    def _show(self, line: bytes) -> None:
        click.echo(f"{self._label}{line.decode(errors='replace')}")


def _stages(spec: RunSpec, stage: str | None) -> list[str]:
    if stage is None:
        return [node.name for node in spec.nodes]
    if stage == CONDUCTOR:
        return [CONDUCTOR]
    found = [node.name for node in select({n.name: n for n in spec.nodes}, stage)]
    if not found:
        labels = [node.label for node in spec.nodes]
        raise InputMissing(
            f"{spec.run} has no stage {stage!r}{did_you_mean(stage, labels)}",
            hint=f"its stages: {', '.join(labels)}",
        )
    return found
