"""What a reader hands over: many games in a few arrays, checked again at the door.

A batch travels from a worker as the bytes of a shard, whose note holds one verdict per game. The
worker that made them may have been fed anything, so nothing in them is believed: shapes, types and
values that cannot be make the whole answer unreadable.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm.artifacts.shard import view_shard, write_shard
from wm.games.chess.vocabulary import SIZE
from wm.games.game import Game, Reason, Rejected
from wm.games.melee.schema import FRAME

Array = NDArray[Any]

COLUMNS: dict[str, dict[str, np.dtype[Any]]] = {
    "melee": {"frames": np.dtype((np.void, FRAME.itemsize))},
    "chess": {"moves": np.dtype("<u2"), "phases": np.dtype("u1")},
}
"""Game -> row column -> type of one row."""

FACTS = {
    "melee": ("stage", "character0", "character1", "port0", "port1", "version"),
    "chess": ("winner",),
}
"""Game -> facts of every game."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one game, in the order of the input."""

    reason: Reason | None
    """None if it was accepted."""
    detail: str = ""
    clipped: dict[str, int] = field(default_factory=dict)
    """Column -> values outside its vocabulary, of an accepted game."""
    missing: tuple[str, ...] = ()
    """Columns that an accepted game's source lacks."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Accepted games, packed, and a verdict on every game."""

    verdicts: list[Verdict]
    rows: dict[str, Array]
    """Column -> [N] or [N, bytes]; empty without accepted games."""
    lengths: Array
    """int64 [G], rows of each accepted game."""
    facts: dict[str, Array]
    """Name -> int32 [G]."""
    identity: Array
    """uint8 [G, 16]."""

    @property
    def bytes(self) -> int:
        """Of all rows."""
        return sum(rows.nbytes for rows in self.rows.values())


def pack_games(game: str, outcomes: Iterable[Game | Rejected]) -> bytes:
    """The bytes of a batch; ``game`` is melee or chess."""
    verdicts: list[list[Any]] = []
    games: list[Game] = []
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            verdicts.append([outcome.reason, outcome.detail])
        else:
            games.append(outcome)
            verdicts.append([None, "", outcome.clipped, list(outcome.missing)])
    identity = np.frombuffer(b"".join(bytes.fromhex(g.identity) for g in games), np.uint8)
    tensors = {
        "lengths": [np.array([len(g) for g in games], "<i8")],
        "identity": [identity.reshape(-1, 16)],
    }
    if games:
        tensors |= {name: [_plain(g.rows[name]) for g in games] for name in COLUMNS[game]}
        tensors |= {
            f"facts.{name}": [np.array([g.facts[name] for g in games], "<i4")]
            for name in FACTS[game]
        }
    stream = io.BytesIO()
    write_shard(stream, tensors, json.dumps(verdicts, separators=(",", ":")))
    return stream.getvalue()


def unpack_games(game: str, data: bytes) -> Batch:
    """The batch in a worker's answer; raises :class:`Rejected` where it cannot be true."""
    try:
        tensors, note = view_shard(np.frombuffer(data, np.uint8))
        lengths, identity = tensors.pop("lengths"), tensors.pop("identity")
        batch = Batch(
            verdicts=[_verdict(*row) for row in json.loads(note)],
            rows={name: tensors[name] for name in COLUMNS[game] if len(lengths)},
            lengths=lengths,
            facts={name: tensors[f"facts.{name}"] for name in FACTS[game] if len(lengths)},
            identity=identity,
        )
        _check(game, batch)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Rejected(Reason.UNREADABLE, f"its reader gave no valid answer: {error}") from error
    return batch


def _plain(rows: Array) -> Array:
    return rows.view(np.uint8).reshape(len(rows), -1) if rows.dtype.kind == "V" else rows


def _verdict(
    reason: str | None,
    detail: str,
    clipped: dict[str, int] | None = None,
    missing: Iterable[str] = (),
) -> Verdict:
    counts = {str(name): int(count) for name, count in (clipped or {}).items()}
    return Verdict(
        Reason(reason) if reason else None, str(detail), counts, tuple(map(str, missing))
    )


def _check(game: str, batch: Batch) -> None:
    games = sum(verdict.reason is None for verdict in batch.verdicts)
    if batch.lengths.shape != (games,) or batch.identity.shape != (games, 16):
        raise ValueError("games and verdicts differ in number")
    if games and batch.lengths.min() < 1:
        raise ValueError("a game without rows")
    for name, rows in batch.rows.items():
        if len(rows) != batch.lengths.sum() or _row_type(rows) != COLUMNS[game][name]:
            raise ValueError(f"column {name} has the wrong shape or type")
    if any(values.shape != (games,) for values in batch.facts.values()):
        raise ValueError("a fact is not there for every game")
    if games and game == "chess" and batch.rows["moves"].max() >= SIZE:
        raise ValueError("a move outside the vocabulary")
    if games and game == "melee":
        frames = batch.rows["frames"].reshape(-1).view(FRAME)
        if not (np.isfinite(frames["f32"]).all() and np.isfinite(frames["f16"]).all()):
            raise Rejected(Reason.NOT_FINITE, "a value that its reader let pass is not finite")


def _row_type(rows: Array) -> np.dtype[Any]:
    return rows.dtype if rows.ndim == 1 else np.dtype((np.void, rows[0].nbytes))
