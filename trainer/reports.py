"""What the training processes tell their parent, by files in a folder that they share.

torchrun turns every failure of a worker into exit code 1; these files say what really happened.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, Field

from wm.errors import Exit

PROGRESS_EVERY = 0.5
"""Seconds between writes."""


class Ending(BaseModel):
    """How one training process ended."""

    code: int = Exit.OK
    message: str = ""
    hint: str = ""
    lost: bool = False
    """Whether another process ended first; how that one ended is the news."""
    result: dict[str, Any] = {}
    time: float = Field(default_factory=time.time)
    """Seconds since the epoch."""

    def write(self, folder: Path, rank: int) -> None:
        """Leave it for the parent."""
        _replace(folder / f"ending-{rank}.json", self.model_dump_json())


def read_endings(folder: Path) -> list[Ending]:
    """The endings of all processes that left one, first to end first."""
    paths = folder.glob("ending-*.json")
    return sorted((Ending.model_validate_json(p.read_bytes()) for p in paths), key=lambda e: e.time)


class Progress(BaseModel):
    """How far the training is."""

    done: int
    """Updates."""
    total: int
    facts: dict[str, Any]


class ProgressFile:
    """Says how far the training is; cheap enough for every step."""

    def __init__(self, folder: Path, total: int, enabled: bool = True) -> None:
        self._path, self._total, self._enabled = folder / "progress.json", total, enabled
        self._written = 0.0

    def __call__(self, done: int, facts: dict[str, Any]) -> None:
        if not self._enabled:
            return
        if time.monotonic() - self._written < PROGRESS_EVERY and done < self._total:
            return
        _replace(self._path, Progress(done=done, total=self._total, facts=facts).model_dump_json())
        self._written = time.monotonic()


def read_progress(folder: Path) -> Progress | None:
    """The newest progress, None before the first."""
    try:
        return Progress.model_validate_json((folder / "progress.json").read_bytes())
    except FileNotFoundError:
        return None


def leave(code: int) -> NoReturn:
    """End this process at once: taking torch down in good order costs a second, for nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)
