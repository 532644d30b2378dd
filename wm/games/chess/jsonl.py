"""Read JSON lines of the format ``game_jsonl_runtime_splice_v1``: one game a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

from wm.games.chess.options import ChessOptions
from wm.games.chess.replay import BATCH_CHARS, replay, require_standard
from wm.games.chess.uci import movetext
from wm.games.chess.vocabulary import RESULTS, WINNERS
from wm.games.game import Game, Reason, Rejected

FORMAT = "game_jsonl_runtime_splice_v1"
SCHEMA = "game_dataset_runtime_splice_v1"
MAX_BYTES = 1 << 20
"""Longer rows are not read."""

_LOOKED_AT = 20
_PGN = re.compile(rb'\s*(\xef\xbb\xbf)?\s*(\[\w+\s+"|1\.)')


def read_jsonl(stream: BinaryIO, *, options: ChessOptions) -> Iterator[Game | Rejected]:
    """Yield one game or rejection for every row of a decompressed stream, in order.

    The moves (``moves``, or ``moves_uci``) are replayed by the rules. A rejection's detail names
    the line. A file whose first rows are no games of this format yields one rejection that says
    what it looks like, and is read no further. Errors of the stream itself pass through.
    """
    lines = _lines(stream)
    first = list(islice(lines, _LOOKED_AT))
    strange = _strange(first)
    if strange:
        yield strange
        return
    batch: list[tuple[int, str | Rejected]] = []
    chars = 0
    for number, line in chain(first, lines):
        try:
            text: str | Rejected = _pgn(_row(line))
        except Rejected as rejected:
            text = rejected
        batch.append((number, text))
        chars += len(line)
        if chars >= BATCH_CHARS:
            yield from _replay(batch, options)
            batch, chars = [], 0
    yield from _replay(batch, options)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank; of one that is too long, only the beginning."""
    number = 0
    while line := stream.readline(MAX_BYTES):
        number += 1
        rest = line
        while len(rest) == MAX_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_BYTES)
        if line.strip():
            yield number, line


def _strange(first: list[tuple[int, bytes]]) -> Rejected | None:
    """The verdict on a file none of whose first rows is an object with moves."""
    if not first:
        return Rejected(Reason.EMPTY, "no row in the file")
    verdicts = [_verdict(line) for _, line in first]
    number, line = first[0]
    verdict = verdicts[0]
    if verdict is None or None in verdicts:
        return None
    what = "PGN" if _PGN.match(line) else verdict.detail
    return Rejected(
        verdict.reason,
        f"line {number}: not a game of {FORMAT} but {what}; "
        f"nor is any of the first {len(first)} rows, so no more were read",
    )


def _verdict(line: bytes) -> Rejected | None:
    try:
        _moves(_row(line))
    except Rejected as rejected:
        return rejected
    return None


def _row(line: bytes) -> dict[str, Any]:
    if len(line) == MAX_BYTES:
        raise Rejected(Reason.UNREADABLE, f"longer than {MAX_BYTES} bytes")
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Rejected(Reason.UNREADABLE, f"text that is no JSON ({error})") from None
    if not isinstance(row, dict):
        raise Rejected(Reason.UNREADABLE, f"a JSON {type(row).__name__}")
    schema = row.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise Rejected(Reason.UNSUPPORTED_VERSION, f"of schema {schema!r}, not {SCHEMA!r}")
    return row


def _moves(row: dict[str, Any]) -> list[str]:
    moves = row.get("moves", row.get("moves_uci"))
    if moves is None:
        fields = ", ".join(list(row)[:6])
        raise Rejected(
            Reason.MISSING_FIELD, f"an object without moves (fields: {fields or 'none'})"
        )
    if not isinstance(moves, list) or not all(isinstance(move, str) for move in moves):
        raise Rejected(Reason.UNREADABLE, "an object whose moves are not a list of strings")
    plies = row.get("plies", len(moves))
    if plies != len(moves):
        raise Rejected(Reason.UNREADABLE, f"cut off: {plies} plies announced, {len(moves)} moves")
    return moves


def _pgn(row: dict[str, Any]) -> str:
    """The row as PGN text, so that games of both kinds are judged in one place."""
    moves, result = _moves(row), row.get("result")
    if result is None:
        raise Rejected(Reason.MISSING_FIELD, "an object without a result")
    if result not in list(RESULTS):
        raise Rejected(Reason.UNREADABLE, f"result {result!r} is none of {', '.join(RESULTS)}")
    winner = WINNERS[RESULTS[result]]
    if row.get("winner_side", winner) != winner:
        said = row["winner_side"]
        raise Rejected(Reason.RESULT_MISMATCH, f"winner_side is {said!r}, the result {result}")
    headers = row.get("headers")
    if isinstance(headers, dict):
        require_standard(headers)
    return f"{movetext(moves)} {result}"


def _replay(
    batch: list[tuple[int, str | Rejected]], options: ChessOptions
) -> Iterator[Game | Rejected]:
    replayed = replay([text for _, text in batch if isinstance(text, str)], options)
    for number, text in batch:
        outcome = text if isinstance(text, Rejected) else next(replayed)
        if isinstance(outcome, Rejected):
            outcome = Rejected(outcome.reason, f"line {number}: {outcome.detail}")
        yield outcome
