import io
import json
from typing import Any

import pytest

from wm.games.chess.jsonl import MAX_BYTES, read_jsonl
from wm.games.chess.made import make_game
from wm.games.chess.options import ChessOptions
from wm.games.chess.pgn import read_pgn
from wm.games.chess.vocabulary import RESULTS, WINNERS, decode
from wm.games.game import Game, Rejected

ALL = ChessOptions(min_plies=1)
RESULT = {winner: result for result, winner in RESULTS.items()}
GOOD: dict[str, Any] = {
    "schema": "game_dataset_runtime_splice_v1",
    "game_id": "00",
    "winner_side": "W",
    "result": "1-0",
    "plies": 3,
    "moves": ["e2e4", "e7e5", "g1f3"],
}


def read(*rows: Any) -> list[Game | Rejected]:
    """Each row as it is if it is bytes, else as JSON."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return list(read_jsonl(io.BytesIO(b"\n".join(lines)), options=ALL))


def but(**changed: Any) -> dict[str, Any]:
    """The good row with other fields; None leaves one out."""
    return {name: value for name, value in (GOOD | changed).items() if value is not None}


def played(text: str) -> tuple[list[Game], list[dict[str, Any]]]:
    """Games of a PGN text, and the same games as rows."""
    games = [g for g in read_pgn(io.BytesIO(text.encode()), options=ALL) if isinstance(g, Game)]
    rows = []
    for game in games:
        moves = [decode(token) for token in game.rows["moves"].tolist()]
        winner = game.facts["winner"]
        facts = {"result": RESULT[winner], "winner_side": WINNERS[winner], "plies": len(moves)}
        rows.append(GOOD | facts | {"moves": moves})
    return games, rows


def test_a_game_is_the_same_from_either_format() -> None:
    rich = (
        "1. e4 d5 2. e5 f5 3. exf6 Nc6 4. fxg7 Bf5 5. gxh8=N Qd6 6. Nf3 O-O-O 7. Be2 a5 8. O-O a4 "
        "9. b4 axb3 10. h3 bxc2 11. h4 cxb1=Q 1/2-1/2\n"
    )
    games, rows = played(rich + "".join(make_game(4, index) for index in range(10)))
    assert len(games) == 11
    for mine, theirs in zip(read(*rows), games, strict=True):
        assert isinstance(mine, Game)
        assert mine.identity == theirs.identity
        assert mine.facts == theirs.facts
        assert mine.rows["phases"].tolist() == theirs.rows["phases"].tolist()


def test_what_is_optional() -> None:
    bare = but(schema=None, game_id=None, winner_side=None, plies=None)
    renamed = but(moves=None, moves_uci=GOOD["moves"])
    with_headers = but(headers={"Event": "x", "Variant": "Standard"})
    outcomes = read(GOOD, bare, b"", renamed, with_headers)
    assert len({game.identity for game in outcomes if isinstance(game, Game)}) == 1
    assert len(outcomes) == 4


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (b'{"moves": ["e2e4"', "unreadable", "text that is no JSON"),
        (b"\xff\xfe\x00", "unreadable", "text that is no JSON"),
        (b"[" * 100_000, "unreadable", "text that is no JSON"),
        (b" " * 10 + b"x" * MAX_BYTES, "unreadable", "longer than 1048576 bytes"),
        ([1, 2], "unreadable", "a JSON list"),
        (but(schema="splice_rows_legacy"), "unsupported_version", "of schema 'splice_rows_legacy'"),
        (but(moves=None), "missing_field", "an object without moves (fields: schema, game_id,"),
        (but(result=None), "missing_field", "an object without a result"),
        (but(result="won"), "unreadable", "result 'won' is none of 1-0, 0-1"),
        (but(result=["1-0"]), "unreadable", "result ['1-0'] is none of 1-0, 0-1"),
        (but(winner_side="B"), "result_mismatch", "winner_side is 'B', the result 1-0"),
        (but(moves="e2e4 e7e5"), "unreadable", "an object whose moves are not a list of strings"),
        (but(moves=["e2e4", 5, "d2d4"]), "unreadable", "an object whose moves are not a list"),
        (but(plies=80), "unreadable", "cut off: 80 plies announced, 3 moves"),
        (but(plies=0, moves=[]), "empty", "no moves"),
        (but(moves=["e2e4", "e7e9", "d2d4"]), "unreadable", "ply 2: 'e7e9' is not a move in UCI"),
        (but(moves=["e2e4", "e4e5", "d2d4"]), "illegal_move", "ply 2: e4e5 is illegal"),
        (but(moves=["e2e4", "e7e5", "g1g3"]), "illegal_move", "ply 3: Ng1g3 is illegal"),
        (but(moves=["e3e4", "e7e5", "g1g3"]), "illegal_move", "ply 1: e3e4 is illegal"),
        (but(moves=["e1g1", "e7e5", "g1f3"]), "illegal_move", "ply 1: O-O is illegal"),
        (but(headers={"Variant": "Atomic"}), "unsupported_variant", "a game of Atomic"),
        (
            but(moves=["f2f3", "e7e5", "g2g4", "d8h4"], plies=4),
            "result_mismatch",
            "ends in checkmate, yet the result is 1-0",
        ),
    ],
)
def test_a_bad_row_costs_only_itself(row: Any, reason: str, detail: str) -> None:
    before, rejected, after = read(GOOD, row, GOOD)
    assert isinstance(before, Game)
    assert isinstance(after, Game)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert rejected.detail.startswith(f"line 2: {detail}")


@pytest.mark.parametrize(
    ("rows", "reason", "looks"),
    [
        ([b'[Event "x"]', b"", b"1. e4 e5 1-0"], "unreadable", "but PGN"),
        ([b"1. e4 e5 1-0"], "unreadable", "but PGN"),
        ([b"eco,name,pgn"] * 50, "unreadable", "but text that is no JSON"),
        ([{"context": [], "target": []}], "missing_field", "(fields: context, target)"),
        ([b"\x28\xb5\x2f\xfd\x00"], "unreadable", "but text that is no JSON"),
    ],
)
def test_a_file_of_something_else_is_named_as_a_whole(
    rows: list[Any], reason: str, looks: str
) -> None:
    (rejected,) = read(*rows)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert rejected.detail.startswith("line 1: not a game of game_jsonl_runtime_splice_v1 but ")
    assert looks in rejected.detail


def test_an_empty_file_is_one_rejection() -> None:
    (rejected,) = read(b"", b"  ")
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.detail) == ("empty", "no row in the file")


def test_games_come_before_the_stream_is_read_to_its_end() -> None:
    stream = io.BytesIO((json.dumps(GOOD) + "\n").encode() * 20_000)
    assert isinstance(next(read_jsonl(stream, options=ALL)), Game)
    assert stream.tell() < len(stream.getvalue()) / 2
