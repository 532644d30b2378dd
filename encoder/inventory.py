"""What raw files hold and what an encode stage would refuse, before anything is encoded."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from encoder.batch import Batch, Verdict, unpack_games
from encoder.inputs import Inputs
from encoder.isolate import Isolated
from encoder.read import GAME, GameReader, Kind
from encoder.seen import Seen
from encoder.sources import open_source
from encoder.tasks import Task, answers, tasks
from wm.errors import BadData
from wm.games.chess.options import ChessOptions
from wm.games.game import Reason, Rejected
from wm.games.melee.options import MeleeOptions
from wm.store import Store

EXAMPLES = 3
"""Rejected games shown for each reason."""


class KindInfo(BaseModel):
    """All files of one kind."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    files: int = 0
    """Members of archives count as files."""
    games: int = 0
    """Games that would be accepted."""
    rows: int = 0
    """Frames or plies of those."""


class Inventory(BaseModel):
    """What there is, and what would become of it with the default settings."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    files: int = 0
    """As they lie there; an archive is one."""
    bytes: int = 0
    """Of those files."""
    kinds: dict[str, KindInfo] = {}
    """Kind -> its files and games."""
    versions: dict[str, int] = {}
    """Slippi version -> replays."""
    accepted: int = 0
    """Games that would be accepted."""
    rejects: dict[str, int] = {}
    """Reason -> games that would be rejected, the commonest first."""
    examples: dict[str, list[str]] = {}
    """Reason -> a few of them: file and detail."""
    ignored: int = 0
    """Files that hold no games of a known kind."""
    damaged: list[str] = []
    """Archives and files of many games that are cut off: an encode stage would fail."""

    def summary(self) -> str:
        """All of it in lines for people."""
        lines = [f"{self.files:,} files, {self.bytes / 1e6:,.1f} MB, {self.ignored:,} ignored"]
        for name, kind in self.kinds.items():
            lines.append(
                f"{name}: {kind.files:,} files, {kind.games:,} games, {kind.rows:,} rows to accept"
            )
        if self.versions:
            counts = ", ".join(f"{version} ({n:,})" for version, n in self.versions.items())
            lines.append(f"Slippi versions: {counts}")
        for reason, n in self.rejects.items():
            lines.append(f"rejected, {reason}: {n:,}")
            lines += [f"    {example}" for example in self.examples[reason]]
        lines += [f"cannot be encoded: {message}" for message in self.damaged]
        return "\n".join(lines)


def inventory(
    paths: Sequence[Path | str],
    *,
    game: str = "melee",
    store: Store | None = None,
    workers: int = 0,
    timeout: float = 60,
    melee: MeleeOptions | None = None,
    chess: ChessOptions | None = None,
    progress: Callable[[int], None] = lambda games: None,
) -> Inventory:
    """Read every game of the sources at ``paths`` as an encode stage would, and keep nothing.

    ``game`` is that of ``made:`` sources. ``store`` is where ``raw:NAME`` lies. ``workers`` 0 means
    one per core; ``progress`` is called with the games so far. Raises InputMissing for a path that
    is not there.
    """
    count = _Count()
    reader = GameReader(melee or MeleeOptions(), chess or ChessOptions())
    with tempfile.TemporaryDirectory(prefix="wm-inventory-") as folder:
        scratch = Path(folder)
        with Isolated(reader, workers or os.cpu_count() or 1, timeout, scratch) as pool:
            for task, answered in pool.map(
                answers, _tasks(paths, game, store, count.found, scratch)
            ):
                count.add(task, answered)
                progress(count.games)
    return count.result()


def _tasks(
    paths: Sequence[Path | str], game: str, store: Store | None, found: Inventory, scratch: Path
) -> Iterator[Task]:
    """Tasks of all sources; a broken archive ends with itself."""
    for number, path in enumerate(paths):
        own = scratch / str(number)
        source = open_source(str(path), game, own, store)
        with Inputs(source, list(Kind), own) as inputs:
            for file in source.files():
                found.files += 1
                found.bytes += file.size
                try:
                    yield from tasks(inputs.of(file))
                except BadData as error:
                    found.damaged.append(error.message)


class _Count:
    """Adds up what readers say."""

    def __init__(self) -> None:
        self.found = Inventory()
        self.games = 0
        self._seen = {game: Seen() for game in GAME.values()}
        self._rejects: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._last = ""

    def add(self, task: Task, answered: Sequence[bytes | Rejected]) -> None:
        """Count one task's games."""
        if task.kind is None:
            self.found.ignored += 1
            return
        game = GAME[task.kind]
        kind = self.found.kinds.setdefault(task.kind, KindInfo())
        kind.files += task.input != self._last
        self._last = task.input
        for answer in answered:
            try:
                if isinstance(answer, Rejected):
                    raise answer
                self._batch(task, kind, self._seen[game], unpack_games(game, answer))
            except Rejected as rejected:
                self._reject(task, Verdict(rejected.reason, rejected.detail))

    def result(self) -> Inventory:
        """Everything counted, in an order for people."""
        self.found.rejects = dict(self._rejects.most_common())
        self.found.versions = dict(sorted(self._versions.items(), key=_by_number))
        self.found.kinds = dict(sorted(self.found.kinds.items()))
        return self.found

    def _batch(self, task: Task, kind: KindInfo, seen: Seen, batch: Batch) -> None:
        new = seen.add(batch.identity)
        kind.games += int(new.sum())
        kind.rows += int(batch.lengths[new].sum())
        self.found.accepted += int(new.sum())
        self.games += len(new)
        for number in batch.facts.get("version", ()):
            if number:
                self._versions[_dotted(int(number))] += 1
        for verdict in batch.verdicts:
            if verdict.reason is not None:
                self._reject(task, verdict)
        for _ in range(len(new) - int(new.sum())):
            self._reject(task, Verdict(Reason.DUPLICATE), counted=True)

    def _reject(self, task: Task, verdict: Verdict, *, counted: bool = False) -> None:
        assert verdict.reason is not None
        self.games += not counted
        self._rejects[verdict.reason] += 1
        if verdict.reason == Reason.UNSUPPORTED_VERSION:
            self._versions[verdict.detail.partition(",")[0]] += 1
        examples = self.found.examples.setdefault(verdict.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(f"{task.input}: {verdict.detail}".removesuffix(": "))


def _dotted(version: int) -> str:
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def _by_number(item: tuple[str, int]) -> tuple[int, ...]:
    return tuple(int(part) for part in item[0].split(".") if part.isdigit())
