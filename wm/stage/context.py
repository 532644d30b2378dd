"""What a stage's main function works with."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from wm.errors import BadConfig, first_problem
from wm.stage.memory import MemoryWatch
from wm.stage.spec import Heartbeat, StageSpec, member_prefix
from wm.store import Store

Settings = TypeVar("Settings", bound=BaseModel)

MEMBER = "WM_MEMBER"
"""Environment variable: index of this process among those that share the attempt."""


class StageContext:
    """One member of one attempt: its spec, store, scratch folder and the wish to stop."""

    def __init__(
        self, spec: StageSpec, store: Store, url: str, scratch: Path, member: int = 0
    ) -> None:
        self.spec = spec
        self.store = store
        self.url = url
        """Address of ``spec.json``, to hand to child processes."""
        self.scratch = scratch
        """A private folder that goes away with the attempt."""
        self.member = member
        """0 for the one that speaks for the attempt, or for the only one; then 1, 2 and so on."""
        self.stopping = threading.Event()
        """Set by SIGTERM and SIGINT: save what must be saved and raise ``Preempted``."""
        self.memory = MemoryWatch()
        """Whether the kernel killed a process of the attempt for want of memory."""
        self.heartbeat = Heartbeat(time=time.time())

    def settings(self, kind: type[Settings]) -> Settings:
        """The spec's config as the stage's own class; :class:`BadConfig` names the wrong key."""
        try:
            return kind.model_validate(self.spec.config)
        except ValidationError as error:
            problem = first_problem(error)
            raise BadConfig(f"settings of {self.spec.stage}: {problem}") from error

    def key(self, *parts: str) -> str:
        """Key of something that this attempt leaves, whichever member leaves it."""
        return "/".join((self.spec.prefix, *parts))

    def own_key(self, *parts: str) -> str:
        """Key of something that this member leaves: log, heartbeat, outcome."""
        return "/".join((member_prefix(self.spec.prefix, self.member), *parts))

    def progress(self, done: int, total: int, unit: str, **facts: Any) -> None:
        """Say how far the stage is; cheap enough for every step."""
        self.heartbeat = Heartbeat(time=time.time(), done=done, total=total, unit=unit, facts=facts)


def member_index() -> int:
    """``WM_MEMBER``, 0 where it is not set."""
    value = os.environ.get(MEMBER, "") or "0"
    if not value.isdecimal():
        raise BadConfig(f"{MEMBER} is {value!r}, which is no index of a member", hint="0, 1, 2 …")
    return int(value)
