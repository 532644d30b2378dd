"""``runs/<run>/phases.json``: how far the platform is with the stages that are under way.

The history says what was decided; this says what is waited for, so that ``wmctl status`` can show
it to people who cannot ask the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.store import NotFound, Store
from wmctl.launch.base import Observation


class Phases(BaseModel):
    """What a conductor saw last."""

    model_config = ConfigDict(extra="forbid")

    time: float = 0
    """When it looked, in seconds since the epoch."""
    trouble: str = ""
    """Why what it saw may be old."""
    stages: dict[str, Observation] = {}
    """Node -> its newest attempt, as long as that is under way."""


class PhasesFile:
    """Keeps the file current; writes it only when something changed."""

    def __init__(self, store: Store, run: str) -> None:
        self._store, self._key = store, _key(run)
        self._written = Phases()

    def keep(self, seen: Sequence[Observation], trouble: str) -> Phases | None:
        """Write what was seen; returns it when it differs from what was written before."""
        stages = {o.job.stage: o.model_copy(update={"output": ""}) for o in seen}
        phases = Phases(time=time.time(), trouble=trouble, stages=stages)
        if phases.model_copy(update={"time": self._written.time}) == self._written:
            return None
        self._store.put(self._key, phases.model_dump_json(indent=1).encode())
        self._written = phases
        return phases


def read_phases(store: Store, run: str) -> Phases:
    """The newest phases of a run; empty where no platform told any."""
    try:
        return Phases.model_validate_json(store.get(_key(run)))
    except (NotFound, ValidationError):
        return Phases()


def _key(run: str) -> str:
    return f"runs/{run}/phases.json"
