"""What stands below the table of a run: cost, finish, decisions, last words of its stages."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text

from wm.store import Store
from wmctl.run.history import Event
from wmctl.run.outlook import Outlook, read_outlook
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show import phrases
from wmctl.show.decisions import decisions
from wmctl.show.standing import standing, standing_lines
from wmctl.show.tail import last_words

LOOK_EVERY = 3.0
"""Seconds between looks into the store: the live table is drawn by the conductor itself."""
LAST = 5
"""Decisions that are shown."""
TALKING = 4
"""Stages whose last words are shown."""


class Below:
    """Keeps what it has read for a moment."""

    def __init__(self, store: Store, spec: RunSpec) -> None:
        self._store, self._spec = store, spec
        self._looked = -LOOK_EVERY
        self._ahead: Outlook | None = None
        self._words: dict[str, list[str]] = {}

    def lines(self, state: RunState, events: Sequence[Event] = ()) -> list[Text]:
        """Lines that are cut to the terminal's width; ``events`` of which decisions are shown."""
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self._look(state)
        how = standing(self._spec, state, self._ahead, time.time())
        lines = [Text(), *standing_lines(how)]
        for line in decisions(events)[-LAST:]:
            clock = phrases.clock(line.event.time)
            lines.append(Text.assemble((f"{clock} {line.mark} ", "dim"), line.text))
        for label, words in ({} if state.finished else self._words).items():
            lines.append(Text(label, "bold"))
            lines += [Text(f"  {word}", "dim", no_wrap=True, overflow="ellipsis") for word in words]
        return lines

    def _look(self, state: RunState) -> None:
        self._looked = time.monotonic()
        self._ahead = read_outlook(self._store, self._spec.run)
        self._words = last_words(self._store, self._spec, state, ("running",), TALKING)
