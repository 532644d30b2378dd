"""The three small JSON objects of an attempt: spec, heartbeat, outcome."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wm.errors import BadConfig

Kind = Literal["encode", "train", "arena"]


class StageSpec(BaseModel):
    """``spec.json``: everything an attempt needs to know, with no default left open."""

    model_config = ConfigDict(extra="forbid")

    run: str
    stage: str
    attempt: int = Field(ge=1)
    kind: Kind
    config: dict[str, Any]
    """The stage's own settings, as its configuration class resolved them."""

    @property
    def prefix(self) -> str:
        """Key prefix of everything that the attempt leaves."""
        return attempt_prefix(self.run, self.stage, self.attempt)


class Heartbeat(BaseModel):
    """``heartbeat.json``: how far the attempt is. Its age says whether the process lives."""

    time: float
    """Seconds since the epoch, by the stage's clock."""
    done: int = 0
    total: int = 0
    """0 while the total is unknown."""
    unit: str = ""
    facts: dict[str, Any] = {}
    """What a person wants to see beside the bar: loss, targets/s, rejects."""


class Outcome(BaseModel):
    """``outcome.json``: how the attempt ended."""

    code: int
    """Exit code, see :class:`wm.errors.Exit`."""
    message: str = ""
    """What went wrong, in one sentence; empty when nothing did."""
    hint: str = ""
    reason: str = ""
    """One word where the code does not say it: ``OOMKilled``."""
    result: dict[str, Any] = {}
    """What the stage made: keys of artifacts and the figures that gates read."""
    started: float
    ended: float
    """Seconds since the epoch."""
    peak_mb: float = 0
    """Largest resident memory of one process of the stage, in MB (10^6 bytes)."""


def attempt_prefix(run: str, stage: str, attempt: int) -> str:
    """Key prefix of one attempt; two digits keep listings in order."""
    return f"runs/{run}/{stage}/{attempt:02d}"


def member_prefix(prefix: str, member: int) -> str:
    """Where a member leaves its log, heartbeat and outcome: member 0 in the attempt itself."""
    return f"{prefix}/members/{member}" if member else prefix


_ADDRESS = re.compile(r"(?P<root>.+)/(?P<key>runs/[^/]+/[^/]+/\d+/spec\.json)")


def locate(address: str) -> tuple[str, str]:
    """Split the address of a spec into the store's root and the spec's key."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise BadConfig(
            f"{address} is not the address of a stage's spec",
            hint="it should end in runs/RUN/STAGE/ATTEMPT/spec.json",
        )
    return match["root"], match["key"]
