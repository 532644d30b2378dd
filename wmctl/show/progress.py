"""A run's progress: a live table in a terminal, plain lines everywhere else."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wm.stage.spec import Heartbeat
from wm.store import Store
from wmctl.run.heartbeat import read_heartbeat
from wmctl.run.history import Event
from wmctl.run.phases import Phases
from wmctl.run.spec import RunSpec
from wmctl.run.state import NodeState, RunState
from wmctl.show import phrases
from wmctl.show.below import Below
from wmctl.show.columns import columns

COLOURS = {
    "waiting": "dim",
    "pending": "yellow",
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "blocked": "yellow",
    "skipped": "dim",
}

REFRESH = 1.0
"""Seconds between looks at the heartbeats in a terminal."""
PLAIN_EVERY = 15.0
"""Seconds between progress lines where output is no terminal."""

_TOLD = frozenset(
    {"gate", "chosen", "skipped", "shortened", "hung", "over", "priced", "interrupted"}
)
"""Events that a live table does not show by itself."""

logger = logging.getLogger("wm.conductor")


class Progress(Protocol):
    """Shows a run while it goes on."""

    def tell(self, event: Event) -> None:
        """Show an event."""

    def tick(self, state: RunState) -> None:
        """Look at the state again."""


def table(spec: RunSpec, state: RunState, store: Store, phases: Phases | None = None) -> Table:
    """One row per stage: phase, how far it is, how long it takes.

    ``phases`` say which attempts a cluster has not brought to run yet.
    """
    pending = {n for n, seen in phases.stages.items() if seen.phase == "waiting"} if phases else ()
    rows = columns("stage", "phase", "", "progress", "time", wrap="progress")
    for node in spec.nodes:
        own = state.nodes[node.name]
        beat = None
        phase = "pending" if own.phase == "running" and node.name in pending else own.phase
        if own.phase == "running":
            beat = read_heartbeat(store, spec.run, node.name, own.attempt)
        bar = ProgressBar(total=beat.total or None, completed=beat.done, width=20) if beat else ""
        detail = Text(_detail(own, beat), "dim" if phase == "skipped" else "")
        rows.add_row(node.label, Text(phase, COLOURS[phase]), bar, detail, _time(own))
    return rows


class PlainProgress:
    """Lines with the time in front; for pipes."""

    def __init__(self, spec: RunSpec, store: Store) -> None:
        self._spec, self._store = spec, store
        self._shown_at = time.monotonic()

    def tell(self, event: Event) -> None:
        """Print the event."""
        if line := phrases.event(event):
            self._say(line)

    def tick(self, state: RunState) -> None:
        """Now and then, print how far the running stages are."""
        if time.monotonic() - self._shown_at < PLAIN_EVERY:
            return
        self._shown_at = time.monotonic()
        for stage, node in state.nodes.items():
            if node.phase != "running":
                continue
            if beat := read_heartbeat(self._store, self._spec.run, stage, node.attempt):
                self._say(f"{stage} {phrases.heartbeat(beat)}")

    def _say(self, line: str) -> None:
        click.echo(f"{phrases.clock(time.time())} {line}")


class LogProgress(PlainProgress):
    """The same lines as records of a log, whose handler knows the time."""

    def _say(self, line: str) -> None:
        logger.info("%s", line)


class LiveProgress:
    """A table that is drawn again as the run goes on, events above it, cost and finish below."""

    def __init__(self, spec: RunSpec, store: Store) -> None:
        self._spec, self._store = spec, store
        self._below = Below(store, spec)
        self._live = Live(console=Console(highlight=False), auto_refresh=False)
        self._shown_at = 0.0

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tell(self, event: Event) -> None:
        """Print what the table does not show and the outcome does not repeat."""
        if event.event in _TOLD or (event.event == "ended" and event.code):
            self._live.console.print(Text(phrases.event(event)))
        self._shown_at = 0.0

    def tick(self, state: RunState) -> None:
        """Draw the table again."""
        if time.monotonic() - self._shown_at < REFRESH:
            return
        self._shown_at = time.monotonic()
        # Decisions stand above the table already, where they stay.
        picture = Group(table(self._spec, state, self._store), *self._below.lines(state))
        self._live.update(picture, refresh=True)


def _detail(node: NodeState, beat: Heartbeat | None) -> str:
    if node.phase == "running":
        return phrases.heartbeat(beat) if beat else "starting"
    if node.phase in ("blocked", "skipped"):
        return node.why
    if node.phase == "failed" and node.last:
        return node.last.text
    return phrases.made(node.result)


def _time(node: NodeState) -> str:
    if node.phase == "running":
        return phrases.duration(time.time() - node.started)
    return phrases.duration(node.ended - node.started) if node.ended and node.started else ""
