"""The processes that share one encode stage, and whether the others get on.

Member 0 packs what all have parsed and alone speaks for the stage. A member that has failed for
good takes the stage with it: the platform then stops the others, and member 0 says why.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from itertools import count

from pydantic import ValidationError

from encoder.chunks import CHUNK
from wm.errors import BadConfig, Exit, Hang, WmError, retryable
from wm.stage import Heartbeat, Outcome
from wm.stage.context import MEMBER
from wm.stage.spec import member_prefix
from wm.store import NotFound, Store

logger = logging.getLogger("wm.encoder")

PATIENCE = 1800.0
"""Seconds without progress after which another member is given up: a pod may have to wait for room
on the cluster, or read again through all of a long stream."""

SAY_AFTER = 10.0
"""Seconds of waiting after which the log says so."""


class MemberFailed(WmError):
    """Another member has failed for good; the exit code is its own."""

    def __init__(self, member: int, outcome: Outcome) -> None:
        super().__init__(f"member {member}: {outcome.message}", hint=outcome.hint)
        self.code = outcome.code


@dataclass(frozen=True, slots=True)
class Members:
    """One of ``count`` processes of an attempt."""

    member: int = 0
    count: int = 1
    prefix: str = ""
    """Of the attempt's keys."""

    @classmethod
    def of_attempt(cls, member: int, pods: int, prefix: str) -> Members:
        """As the platform runs them: where it sets no member's index, one process does it all."""
        if MEMBER not in os.environ:
            return cls(prefix=prefix)
        if member >= pods:
            raise BadConfig(
                f"this is member {member} of an encode stage of {pods} pods",
                hint=f"{MEMBER} counts from 0 to one less than the setting pods",
            )
        return cls(member, pods, prefix)

    def owner(self, chunk: int) -> int:
        """The member that parses a chunk."""
        return chunk % self.count

    def mine(self, number: int) -> bool:
        """Whether this member parses task ``number``."""
        return self.owner(number // CHUNK) == self.member

    def blame(self, store: Store) -> None:
        """Raise :class:`MemberFailed` if another member of the attempt has failed for good."""
        for member in range(self.count):
            if member == self.member:
                continue
            try:
                text = store.get(f"{member_prefix(self.prefix, member)}/outcome.json")
                outcome = Outcome.model_validate_json(text)
            except (NotFound, ValidationError):
                continue
            if _final(outcome.code):
                raise MemberFailed(member, outcome)


ALONE = Members()
"""One process does everything."""


def _final(code: int) -> bool:
    """Whether a member that says so itself is not started again within the attempt."""
    return code == Exit.KILLED or (code != Exit.OK and not retryable(code))


class Watch:
    """Whether one member, for which this one waits, gets on."""

    def __init__(self, store: Store, prefix: str, member: int, patience: float) -> None:
        self._store = store
        self._key = f"{member_prefix(prefix, member)}/heartbeat.json"
        self._member = member
        self._patience = patience
        self._seen: Heartbeat | None = None
        self._began = self._since = time.monotonic()
        self._reports = count(1)
        self._report_at = SAY_AFTER

    def look(self, wanted: str) -> None:
        """Raise Hang if the member has made no progress for too long; else say what is missing."""
        now = time.monotonic()
        seen = self._progress()
        if seen != self._seen:
            self._seen, self._since = seen, now
        where = f"it is at {seen.done} {seen.unit}" if seen else "it has not begun"
        if now - self._since > self._patience:
            raise Hang(
                f"member {self._member} has made no progress for {self._patience:g} s; {where}, "
                f"and {wanted} is waited for",
                hint="look at its pod; if the cluster has no room for it, lower the setting pods",
            )
        if now - self._began >= self._report_at:
            self._report_at = SAY_AFTER * 2 ** next(self._reports)
            logger.info("waiting for %s of member %d; %s", wanted, self._member, where)

    def _progress(self) -> Heartbeat | None:
        """The heartbeat without its time, as its thread beats whatever the rest does."""
        try:
            beat = Heartbeat.model_validate_json(self._store.get(self._key))
        except (NotFound, ValidationError):
            return None
        return beat.model_copy(update={"time": 0.0})
