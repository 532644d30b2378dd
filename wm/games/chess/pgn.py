"""Read PGN: every game in the text comes out packed, or with the reason against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from wm.games.chess.options import ChessOptions
from wm.games.chess.replay import BATCH_CHARS, replay
from wm.games.chess.split import MAX_CHARS, GameText, split_games
from wm.games.game import Game, Reason, Rejected


def read_pgn(stream: BinaryIO, *, options: ChessOptions) -> Iterator[Game | Rejected]:
    """Yield one game or rejection for every game of a decompressed PGN stream, in order.

    Memory does not depend on the stream's length. A rejection's detail names the line on which its
    game begins. A stream without any game yields one rejection. Errors of the stream itself, such
    as a truncated archive, pass through.
    """
    batch: list[GameText] = []
    chars = 0
    empty = True
    for text in split_games(stream):
        empty = False
        batch.append(text)
        chars += len(text.headers) + len(text.movetext)
        if chars >= BATCH_CHARS:
            yield from _replay(batch, options)
            batch, chars = [], 0
    yield from _replay(batch, options)
    if empty:
        yield Rejected(Reason.EMPTY, "no game in the file")


def _replay(batch: list[GameText], options: ChessOptions) -> Iterator[Game | Rejected]:
    outcomes = replay([f"{text.headers}\n{text.movetext}" for text in batch], options)
    for text, outcome in zip(batch, outcomes, strict=True):
        if text.oversize:
            outcome = Rejected(
                Reason.UNREADABLE, f"longer than {MAX_CHARS} characters: not a game of chess"
            )
        if isinstance(outcome, Rejected):
            outcome = Rejected(outcome.reason, f"line {text.line}: {outcome.detail}")
        yield outcome
