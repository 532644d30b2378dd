"""The last lines of a stage's log, at the price of a listing and one small read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wm.stage.spec import attempt_prefix
from wm.store import Store
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState

LINES = 3
"""Lines that are shown of a log."""
MOST = 2048
"""Bytes that are read for them."""

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def last_lines(store: Store, prefix: str, lines: int = LINES) -> list[str]:
    """The last whole lines of an attempt's log (of its first member), at most ``lines``; fewer
    where the newest chunk has only begun."""
    chunks = list(store.list(f"{prefix}/log/"))
    if not chunks:
        return []
    newest = chunks[-1]
    start = max(0, newest.size - MOST)
    text = store.open_range(newest.key, start, newest.size).decode(errors="replace")
    if start:
        text = text.partition("\n")[2] or text
    found = [_CONTROL.sub("", line).rstrip() for line in text.split("\n")]
    return [line for line in found if line][-lines:]


def last_words(
    store: Store, spec: RunSpec, state: RunState, phases: Iterable[str], most: int = 100
) -> dict[str, list[str]]:
    """Label -> last lines, of at most ``most`` stages in one of these phases that said anything."""
    found: dict[str, list[str]] = {}
    nodes = [node for node in spec.nodes if state.nodes[node.name].phase in phases]
    for node in nodes[:most]:
        attempt = state.nodes[node.name].attempt
        if attempt and (lines := last_lines(store, attempt_prefix(spec.run, node.name, attempt))):
            found[node.label] = lines
    return found
