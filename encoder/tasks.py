"""From inputs to work for the readers: one replay, or one piece of a file of many games."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from encoder.inputs import MANY, Input, read_limited
from encoder.pieces import halve, pieces
from encoder.read import Kind, request
from encoder.streams import Damaged
from wm.errors import BadData
from wm.games.game import Reason, Rejected
from wm.stage.memory import OutOfMemory

Answers = list[bytes | Rejected]
"""What readers made of one task: batches, and what could not be read."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work for one reader."""

    number: int
    """Counted from 0 over all of the source."""
    input: str
    """Name of the input it belongs to."""
    kind: Kind | None
    """None for an input that is ignored."""
    read: int
    """Bytes of the source read so far."""
    content: bytes | Path | Callable[[], bytes] | Rejected | None = None
    """The bytes, where a worker finds them, how to get them, or why they cannot be had; None for
    an input that is ignored, and where nobody here wants them."""
    meta: dict[str, Any] | None = None
    """Row of ``meta.json`` (parsed-v2)."""
    line: int = 1
    """First line of the piece within its file."""


def tasks(
    inputs: Iterable[Input], wanted: Callable[[int], bool] = lambda number: True
) -> Iterator[Task]:
    """The tasks of all inputs, in order. A damaged file of many games raises BadData.

    Tasks whose number is not ``wanted`` come without content: single files are then not read at
    all, and of a stream nothing is kept.
    """
    numbers = count()
    for one in inputs:
        if one.kind is None:
            yield Task(next(numbers), one.name, None, one.read())
        elif one.kind in MANY:
            yield from _pieces(one, one.kind, numbers, wanted)
        else:
            number = next(numbers)
            content = _content(one) if wanted(number) else None
            yield Task(number, one.name, one.kind, one.read(), content, one.meta)


def answers(task: Task, ask: Callable[[bytes], bytes]) -> Answers:
    """What a reader makes of a task; a piece that breaks its reader is halved until only the game
    that does so is lost. The work of :meth:`encoder.isolate.Isolated.map`."""
    if task.kind is None:
        return []
    content = task.content
    if callable(content):
        try:
            content = content()
        except (OSError, Damaged) as error:
            content = _unreadable(error)
    if isinstance(content, Rejected):
        return [content]
    assert content is not None
    try:
        return _answers(task, content, task.line, ask)
    except OutOfMemory as error:
        raise OutOfMemory(f"{error.message}: {task.input}", hint=error.hint) from error


def _answers(task: Task, data: bytes | Path, line: int, ask: Callable[[bytes], bytes]) -> Answers:
    assert task.kind is not None
    try:
        return [ask(request(task.kind, data, meta=task.meta, line=line))]
    except Rejected as rejected:
        halves = halve(data, task.kind) if isinstance(data, bytes) and task.kind in MANY else None
        if halves is None:
            return [rejected]
    first, second = halves
    behind = line + first.count(b"\n")
    return _answers(task, first, line, ask) + _answers(task, second, behind, ask)


def _pieces(
    one: Input, kind: Kind, numbers: Iterator[int], wanted: Callable[[int], bool]
) -> Iterator[Task]:
    assert one.open is not None
    done = 0
    try:
        with one.open() as stream:
            for line, data in pieces(stream, kind):
                number = next(numbers)
                content = data if wanted(number) else None
                yield Task(number, one.name, kind, one.read(), content, line=line)
                done += 1
    except Damaged as error:
        raise BadData(
            f"{one.name} is cut off or damaged after {done} pieces of whole games: {error}",
            hint="copy or download it again; nothing was published",
        ) from error


def _content(one: Input) -> bytes | Path | Callable[[], bytes] | Rejected:
    if one.path is not None:
        return one.path
    if one.later is not None:
        return one.later
    assert one.open is not None
    try:
        with one.open() as stream:
            return read_limited(stream)
    except Damaged as error:
        return _unreadable(error)


def _unreadable(error: OSError | Damaged) -> Rejected:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return Rejected(Reason.UNREADABLE, f"cannot be read: {why}")
