"""How members pass on what they have parsed: chunks of answers below the data set's key.

    <data set>/progress/answers/00000007.bin    one chunk, until the blocks it went into are written
                        packed.json             how far member 0 is

A chunk says nothing about who made it or how many members there are, so those of an earlier run of
the stage serve a later one. A member stays at most ``AHEAD`` rounds (one chunk of every member)
before what is packed, which bounds the space; the chunk that is needed next may always be written,
so nobody waits in a circle.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from encoder.chunks import CHUNK, dump_chunk, load_chunk
from encoder.members import PATIENCE, Members, Watch
from encoder.tasks import Answers, Task
from wm.errors import BadData, Preempted
from wm.store import NotFound, Store

logger = logging.getLogger("wm.encoder")

T = TypeVar("T")

AHEAD = 4
"""Rounds that a member may be before what is packed."""

_LONGEST_PAUSE = 1.0


class Finished(Exception):
    """The data set is there: another run finished it."""


class _Packed(BaseModel):
    """``progress/packed.json``."""

    model_config = ConfigDict(extra="forbid")

    packed: int = 0
    """Tasks whose answers member 0 has taken."""
    kept: int = 0
    """Tasks whose games are in finished blocks; their answers are not needed again."""


class Exchange:
    """One member's view of what all have parsed."""

    def __init__(
        self,
        store: Store,
        key: str,
        members: Members,
        stopping: threading.Event,
        patience: float = PATIENCE,
    ) -> None:
        """``key`` of the data set; ``patience`` in seconds, see :class:`encoder.members.Watch`."""
        self._store = store
        self._key = key
        self._members = members
        self._stopping = stopping
        self._patience = patience
        self._packed = _Packed()
        self._chunk = -1  # the one last asked for, and what was found
        self._wanted = False
        self._answers: list[Answers] = []

    # What member 0 does.

    def mine(self, number: int) -> bool:
        """Whether this member parses task ``number``."""
        return self._members.mine(number)

    def elsewhere(self, task: Task) -> Callable[[], Answers] | None:
        """How to get another member's answers to ``task``; None where this one parses it."""
        if self.mine(task.number):
            return None
        return partial(self._fetch, task.number)

    def begin(self, kept: int) -> None:
        """Tell the others where the packing begins: behind the ``kept`` tasks of an earlier run."""
        self._tell(_Packed(packed=kept, kept=kept))

    def report(self, packed: int, kept: int) -> None:
        """Tell the others, once a round, how far the packing is, and remove what it has kept."""
        for chunk in range(self._packed.kept // CHUNK, kept // CHUNK):
            if self._members.owner(chunk) != self._members.member:
                self._store.delete(self._name(chunk))
        now = _Packed(packed=packed, kept=kept)
        if self._round(packed) != self._round(self._packed.packed):
            self._tell(now)
        self._packed = now

    # What the others do.

    def wanted(self, number: int) -> bool:
        """Whether this member is to parse task ``number`` and nobody has done it before."""
        if not self.mine(number):
            return False
        chunk = number // CHUNK
        if chunk != self._chunk:
            self._chunk = chunk
            needed = (chunk + 1) * CHUNK > self._packed.kept
            self._wanted = needed and self._store.head(self._name(chunk)) is None
        return self._wanted

    def publish(self, chunk: int, tasks: list[Answers]) -> None:
        """Hand a chunk over, as soon as it is not too far ahead; raises Finished or Preempted."""
        self._wait(partial(self._near, chunk), 0, "the packing")
        self._store.put(self._name(chunk), dump_chunk(chunk, tasks))

    # Both.

    def _fetch(self, number: int) -> Answers:
        chunk = number // CHUNK
        if chunk != self._chunk:
            owner = self._members.owner(chunk)
            data = self._wait(partial(self._get, chunk), owner, f"chunk {chunk}")
            self._chunk, self._answers = chunk, load_chunk(chunk, data)
        at = number - chunk * CHUNK
        if at >= len(self._answers):
            raise BadData(
                f"chunk {chunk} ends before task {number}: the members read different sources",
                hint="nothing may write to a source while it is read; submit again",
            )
        return self._answers[at]

    def _tell(self, packed: _Packed) -> None:
        self._packed = packed
        if self._members.count > 1:
            self._store.put(f"{self._key}/progress/packed.json", packed.model_dump_json().encode())

    def _get(self, chunk: int) -> bytes | None:
        try:
            return self._store.get(self._name(chunk))
        except NotFound:
            return None

    def _near(self, chunk: int) -> bool | None:
        """True if a chunk may be written, else None."""
        try:
            text = self._store.get(f"{self._key}/progress/packed.json")
            self._packed = _Packed.model_validate_json(text)
        except NotFound:
            pass
        ahead = self._round(chunk * CHUNK) - self._round(self._packed.packed)
        return True if ahead <= AHEAD else None

    def _wait(self, ready: Callable[[], T | None], member: int, wanted: str) -> T:
        watch = Watch(self._store, self._members.prefix, member, self._patience)
        pause = 0.05
        while (found := ready()) is None:
            if self._store.head(f"{self._key}/manifest.json") is not None:
                raise Finished
            self._members.blame(self._store)
            watch.look(wanted)
            if self._stopping.wait(pause):
                raise Preempted("stopped; what is parsed is kept", hint="submit again to go on")
            pause = min(1.5 * pause, _LONGEST_PAUSE)
        return found

    def _name(self, chunk: int) -> str:
        return f"{self._key}/progress/answers/{chunk:08d}.bin"

    def _round(self, number: int) -> int:
        return number // (CHUNK * self._members.count)
