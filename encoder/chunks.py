"""Readers' answers to consecutive tasks as one object: it goes from the member that parsed them,
through the store, to the member that packs.

    64 hex digits, SHA-256 of all that follows
    {"format": 1, "chunk": 7, "tasks": [[5120, ["timeout", "no answer within 60 s"]], ...]}
    the bytes of all batches

The middle line has for every task its answers in order: the length of a batch, or the reason and
detail of a rejection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from encoder.tasks import Answers
from wm.errors import BadData
from wm.games.game import Reason, Rejected

CHUNK = 8
"""Tasks of a chunk: a few MB of packed games, and small enough to share a small source evenly."""

_FORMAT = 1


def dump_chunk(chunk: int, tasks: Sequence[Answers]) -> bytes:
    """The bytes of chunk number ``chunk``."""
    rows = [[_describe(answer) for answer in answers] for answers in tasks]
    head = json.dumps({"format": _FORMAT, "chunk": chunk, "tasks": rows}).encode()
    batches = [answer for answers in tasks for answer in answers if isinstance(answer, bytes)]
    body = b"".join([head, b"\n", *batches])
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def load_chunk(chunk: int, data: bytes) -> list[Answers]:
    """What :func:`dump_chunk` was given; BadData where the bytes are anything else."""
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise _damaged(chunk)
    head, _, rest = body.partition(b"\n")
    said = json.loads(head)
    if (said["format"], said["chunk"]) != (_FORMAT, chunk):
        raise _damaged(chunk)
    tasks, at = [], 0
    for row in said["tasks"]:
        answers: Answers = []
        for entry in row:
            if isinstance(entry, int):
                answers.append(rest[at : at + entry])
                at += entry
            else:
                answers.append(Rejected(Reason(entry[0]), entry[1]))
        tasks.append(answers)
    return tasks


def _describe(answer: bytes | Rejected) -> int | list[str]:
    return [answer.reason, answer.detail] if isinstance(answer, Rejected) else len(answer)


def _damaged(chunk: int) -> BadData:
    return BadData(
        f"chunk {chunk} of another member's answers is damaged",
        hint="delete the data set's progress folder and submit again",
    )
