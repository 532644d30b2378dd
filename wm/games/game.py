"""What every reader of raw games yields: a game, or the reason there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray


class Reason(StrEnum):
    """Why an input was not accepted. A closed list: reports count by it."""

    UNREADABLE = "unreadable"  # not of its kind, truncated or damaged
    PARSER_PANIC = "parser_panic"
    TIMEOUT = "timeout"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNSUPPORTED_VARIANT = "unsupported_variant"  # e.g. Atomic chess, a set-up position
    PLAYERS = "players"  # not exactly two human players
    TOO_SHORT = "too_short"
    OUT_OF_RANGE = "out_of_range"
    NOT_FINITE = "not_finite"
    MISSING_FIELD = "missing_field"
    ILLEGAL_MOVE = "illegal_move"
    RESULT_MISMATCH = "result_mismatch"
    EMPTY = "empty"
    NOT_DECISIVE = "not_decisive"  # refused by an option
    DUPLICATE = "duplicate"


class Rejected(Exception):
    """One game that cannot be used, and why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True)
class Game:
    """One game, ready to be packed."""

    identity: str
    """32 hex digits over what was played: the same game in two files has the same identity."""
    rows: dict[str, NDArray[Any]]
    """Arrays with one row per frame or ply, all of one length; names as the game's schema."""
    facts: dict[str, int] = field(default_factory=dict)
    """Per-game integers: winner, stage, characters, ..."""
    clipped: dict[str, int] = field(default_factory=dict)
    """Column -> how many values lay outside the column's vocabulary."""
    missing: tuple[str, ...] = ()
    """Columns that the source does not hold, or holds with less precision."""

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))
