"""Replay movetext under the rules, many games at once, and turn it into packed games."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import rust_pgn_reader_python_binding as rust
from numpy.typing import NDArray

from wm.games.chess.options import ChessOptions
from wm.games.chess.phase import phases
from wm.games.chess.vocabulary import RESULTS, encode_squares
from wm.games.game import Game, Reason, Rejected

BATCH_CHARS = 1 << 19
"""Characters replayed at once; boards and their look-ups take some forty times as many bytes."""

_RESULT_OF = {"White": "1-0", "Black": "0-1", "Draw": "1/2-1/2", "Unknown": "*"}
_STANDARD = {"standard", "chess", "normal"}
_START = ["rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR", "w", "KQkq", "-"]
_BAD_MOVE = re.compile(r"(illegal move|failed to parse SAN) at ply (\d+): (\S*)")


def replay(texts: Sequence[str], options: ChessOptions) -> Iterator[Game | Rejected]:
    """Replay PGN texts of one game each; yields a game or the reason against it, in order."""
    # The reader drops a text in which it sees no game; a header keeps every text in its place.
    parsed = rust.parse_games_from_strings(
        [f'[Replay ""]\n{text}' for text in texts], num_threads=1
    )
    if not texts:
        return
    (chunk,) = parsed.chunks
    moves = encode_squares(chunk.from_squares, chunk.to_squares, chunk.promotions)
    offsets = chunk.position_offsets.astype(np.intp)
    plies = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    after = phases(chunk.boards.reshape(-1, 64), chunk.castling, plies)
    for view, own_moves, own_phases in zip(
        parsed,
        np.split(moves, chunk.move_offsets[1:-1]),
        np.split(after, offsets[1:-1]),
        strict=True,
    ):
        try:
            winner = RESULTS[_result(view, options)]
        except Rejected as rejected:
            yield rejected
            continue
        rows: dict[str, NDArray[Any]] = {"moves": own_moves.copy(), "phases": own_phases[1:].copy()}
        yield Game(identity(own_moves, winner), rows, {"winner": winner})


def identity(moves: NDArray[np.uint16], winner: int) -> str:
    """32 hex digits over the moves and the result, and nothing else about the game."""
    played = moves.astype("<u2").tobytes() + bytes([winner])
    return hashlib.blake2b(played, digest_size=16).hexdigest()


def require_standard(headers: Mapping[str, str]) -> None:
    """Raise :class:`Rejected` unless the PGN headers are of standard chess from the start."""
    variant = str(headers.get("Variant", "standard"))
    if variant.lower() not in _STANDARD:
        raise Rejected(Reason.UNSUPPORTED_VARIANT, f"a game of {variant}")
    if "FEN" in headers and str(headers["FEN"]).split()[:4] != _START:
        raise Rejected(Reason.UNSUPPORTED_VARIANT, "begins from a set-up position")


def _result(view: rust.PyGameView, options: ChessOptions) -> str:
    headers, plies = view.headers, len(view)
    require_standard(headers)
    if view.parse_error:
        raise _bad_move(view.parse_error)
    if not plies:
        raise Rejected(Reason.EMPTY, "no moves")
    if view.outcome is None:
        raise Rejected(Reason.UNREADABLE, f"cut off: no result after ply {plies}")
    result = _RESULT_OF[view.outcome]
    claimed = headers.get("Result", result)
    if claimed in RESULTS and claimed != result:
        raise Rejected(
            Reason.RESULT_MISMATCH, f"the header says {claimed}, the moves end with {result}"
        )
    forced = _forced_result(view)
    if forced and result != forced:
        end = "stalemate" if view.is_stalemate else "checkmate"
        raise Rejected(Reason.RESULT_MISMATCH, f"ends in {end}, yet the result is {result}")
    if plies < options.min_plies:
        raise Rejected(Reason.TOO_SHORT, f"{plies} plies")
    if options.decisive_only and result not in ("1-0", "0-1"):
        raise Rejected(Reason.NOT_DECISIVE, f"the result is {result}")
    return result


def _bad_move(error: str) -> Rejected:
    match = _BAD_MOVE.search(error)
    if match is None:
        return Rejected(Reason.UNREADABLE, error)
    kind, ply, move = match.groups()
    if kind == "illegal move":
        return Rejected(Reason.ILLEGAL_MOVE, f"ply {ply}: {move} is illegal")
    return Rejected(Reason.UNREADABLE, f"ply {ply}: {move!r} is not a move")


def _forced_result(view: rust.PyGameView) -> str | None:
    """The result that the final position leaves no choice about."""
    if view.is_checkmate:
        return "1-0" if len(view) % 2 else "0-1"
    return "1/2-1/2" if view.is_stalemate else None
