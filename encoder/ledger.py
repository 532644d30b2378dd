"""What became of every input and game: rows of ``rejects.jsonl``, and their sums."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from encoder.batch import Verdict
from encoder.inputs import MANY
from encoder.tasks import Task

_ROWS = 1000


class Sums(BaseModel):
    """Counts over all games so far."""

    model_config = ConfigDict(extra="forbid")

    accepted: int = 0
    rejects: dict[str, int] = {}
    """Reason -> games, or inputs that hold no readable game."""
    ignored: int = 0
    """Files that are not of the game's kinds."""
    clipped: dict[str, int] = {}
    missing: dict[str, int] = {}
    file: str = ""
    """The file of many games that is being read."""
    file_games: int = 0
    file_accepted: int = 0

    @property
    def games(self) -> int:
        """Accepted or rejected."""
        return self.accepted + sum(self.rejects.values())

    def commonest(self, count: int = 3) -> str:
        """The commonest reasons against games, for people."""
        return ", ".join(f"{n} {reason}" for reason, n in Counter(self.rejects).most_common(count))


class Ledger:
    """Counts, and keeps the rows of a block in a file of scratch."""

    def __init__(self, path: Path, sums: Sums) -> None:
        self.sums = sums
        self._path = path
        self._rows: list[str] = []

    def ignore(self, name: str) -> None:
        """An input that holds no games of this game."""
        self.close_file()
        self.sums.ignored += 1
        self._row(input=name, verdict="ignored")

    def judge(self, task: Task, verdict: Verdict, identity: str = "", rows: int = 0) -> None:
        """One game's verdict; ``identity`` and ``rows`` of an accepted one."""
        if task.input != self.sums.file:
            self.close_file()
        where: dict[str, Any] = {"input": task.input}
        if task.kind in MANY:
            self.sums.file = task.input
            self.sums.file_games += 1
            self.sums.file_accepted += verdict.reason is None
            where["game"] = self.sums.file_games
        if verdict.reason is not None:
            _count(self.sums.rejects, {verdict.reason: 1})
            self._row(**where, verdict="rejected", reason=verdict.reason, detail=verdict.detail)
            return
        self.sums.accepted += 1
        _count(self.sums.clipped, verdict.clipped)
        _count(self.sums.missing, dict.fromkeys(verdict.missing, 1))
        if task.kind not in MANY:
            self._row(**where, verdict="accepted", identity=identity, rows=rows)

    def close_file(self) -> None:
        """Sum up the file of many games that was being read."""
        sums = self.sums
        if sums.file:
            rejected = sums.file_games - sums.file_accepted
            counts = {"accepted": sums.file_accepted, "rejected": rejected}
            self._row(input=sums.file, verdict="read", games=sums.file_games, **counts)
        sums.file, sums.file_games, sums.file_accepted = "", 0, 0

    def take(self) -> bytes:
        """All rows since the last call."""
        self._flush()
        data = self._path.read_bytes()
        self._path.unlink()
        return data

    def _row(self, **fields: Any) -> None:
        self._rows.append(json.dumps(fields, ensure_ascii=False) + "\n")
        if len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(self._rows)
        self._rows.clear()


def _count(sums: dict[str, int], more: dict[Any, int]) -> None:
    for name, n in more.items():
        sums[str(name)] = sums.get(str(name), 0) + n
