"""``--once``: an attempt is run by the process that first claims it, and by no other.

A platform may start a process again that it should not: the training operator, for one, recreates
a deleted pod under the same name whatever the policy. The ledger of attempts counts, not it.
"""

from __future__ import annotations

import logging
import os
import socket
import time

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import Exit, retryable
from wm.stage.spec import Outcome, StageSpec, member_prefix
from wm.store import ABSENT, Conflict, NotFound, Store

logger = logging.getLogger("wm.stage")


class Claim(BaseModel):
    """``claim.json``: who began the attempt."""

    model_config = ConfigDict(extra="forbid")

    pod: str
    node: str = ""
    time: float
    """Seconds since the epoch, by the stage's clock."""


def claim(store: Store, spec: StageSpec, member: int) -> int | None:
    """Claim the attempt; None to go on, else the exit code with which to end at once.

    Kubernetes itself starts the members of an encode Job again, and shards that are done are not
    done twice: there an earlier claim is taken over unless it ended for good.
    """
    prefix = member_prefix(spec.prefix, member)
    mine = Claim(
        pod=os.environ.get("WM_POD") or socket.gethostname(),
        node=os.environ.get("WM_NODE", ""),
        time=time.time(),
    )
    key, data = f"{prefix}/claim.json", mine.model_dump_json().encode()
    try:
        store.put(key, data, only_if=ABSENT)
    except Conflict:
        pass
    else:
        return None
    outcome, owner = _outcome(store, f"{prefix}/outcome.json"), _owner(store, key)
    if spec.kind == "encode" and (outcome is None or retryable(outcome.code)):
        store.delete(f"{prefix}/outcome.json")  # it says nothing of this process
        store.put(key, data)
        logger.info("attempt %d goes on from what %s left", spec.attempt, owner)
        return None
    if outcome is not None:
        logger.info("attempt %d has ended before, with code %d", spec.attempt, outcome.code)
        return outcome.code
    logger.error(
        "error: attempt %d was begun by %s before and ended without an outcome; "
        "the next attempt goes on from its state",
        spec.attempt,
        owner,
    )
    return Exit.KILLED


def _owner(store: Store, key: str) -> str:
    try:
        return Claim.model_validate_json(store.get(key)).pod
    except (NotFound, ValidationError):
        return "another process"


def _outcome(store: Store, key: str) -> Outcome | None:
    try:
        return Outcome.model_validate_json(store.get(key))
    except (NotFound, ValidationError):
        return None
