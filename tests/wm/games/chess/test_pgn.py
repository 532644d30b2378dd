import io
import lzma
import tracemalloc
from pathlib import Path

import chess
import chess.pgn
import numpy as np
import pytest

from wm.games.chess.made import make_game
from wm.games.chess.options import ChessOptions
from wm.games.chess.pgn import read_pgn
from wm.games.chess.phase import phase
from wm.games.chess.replay import BATCH_CHARS
from wm.games.chess.vocabulary import RESULTS, decode
from wm.games.game import Game, Rejected

ALL = ChessOptions(min_plies=1)
SCHOLAR = "1. e4 e5 2. Bc4 Nc6 3. Qh5 Nf6 4. Qxf7# 1-0"
RICH = (
    "1. e4 d5 2. e5 f5 3. exf6 Nc6 4. fxg7 Bf5 5. gxh8=N Qd6 6. Nf3 O-O-O 7. Be2 a5 8. O-O a4 "
    "9. b4 axb3 10. h3 bxc2 11. h4 cxb1=Q 1/2-1/2"
)
"""Both castlings, en passant by both sides, a promotion and an under-promotion."""


def read(text: str | bytes, options: ChessOptions = ALL) -> list[Game | Rejected]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(read_pgn(io.BytesIO(data), options=options))


def verdicts(text: str | bytes, options: ChessOptions = ALL) -> list[tuple[str, str]]:
    """(reason, detail) of each game, ("ok", result's id) of an accepted one."""
    return [
        (str(game.reason), game.detail)
        if isinstance(game, Rejected)
        else ("ok", str(game.facts["winner"]))
        for game in read(text, options)
    ]


def assert_as_python_chess(text: str) -> None:
    """Moves, phases and winners are those that python-chess finds."""
    stream = io.StringIO(text)
    mine = read(text)
    for game in mine:
        theirs = chess.pgn.read_game(stream)
        assert theirs is not None
        assert not theirs.errors
        assert isinstance(game, Game)
        board, seen = theirs.board(), []
        moves = [move.uci() for move in theirs.mainline_moves()]
        for uci in moves:
            board.push_uci(uci)
            seen.append(phase(board))
        assert [decode(token) for token in game.rows["moves"].tolist()] == moves
        assert game.rows["phases"].tolist() == seen
        assert game.facts == {"winner": RESULTS[theirs.headers["Result"]]}
        assert [column.dtype for column in game.rows.values()] == [np.uint16, np.uint8]
    assert chess.pgn.read_game(stream) is None


def test_made_games_read_as_python_chess_reads_them() -> None:
    assert_as_python_chess("".join(make_game(3, index) for index in range(10)))


def test_every_kind_of_move_reads_as_python_chess_reads_it() -> None:
    assert_as_python_chess(f'[Result "1/2-1/2"]\n\n{RICH}\n')


def test_real_games_read_as_python_chess_reads_them(shared_data: Path) -> None:
    with lzma.open(shared_data / "chess" / "master_games_100k.pgn.xz", "rt") as file:
        games = file.read(400_000).split("\n\n[Event ")[:300]
    assert len(games) == 300
    assert_as_python_chess("\n\n[Event ".join(games))


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("1. e4 e5 2. Ke3 d5 1-0", "illegal_move", "line 1: ply 3: Ke3 is illegal"),
        ("1. e4 e5 2. -- d5 1-0", "illegal_move", "line 1: ply 3: -- is illegal"),
        (SCHOLAR.replace("1-0", "5. a3 1-0"), "illegal_move", "line 1: ply 8: a3 is illegal"),
        ("1. e4 e5 2. nonsense *", "unreadable", "line 1: ply 3: 'nonsense' is not a move"),
        ("dear diary", "unreadable", "line 1: ply 1: 'dear' is not a move"),
        (b"\x00\x01\xff\xfe" * 9, "unreadable", "line 1: ply 1: "),
        ("x" * (1 << 20) + "y", "unreadable", "line 1: longer than 1048576 characters"),
        ('\n[Event "x"]\n\n1. e4 e5', "unreadable", "line 2: cut off: no result after ply 2"),
        ("1. e4 {resigns", "unreadable", "line 1: cut off: no result after ply 1"),
        ('[Event "x"]\n\n*', "empty", "line 1: no moves"),
        ('[Event "x"]', "empty", "line 1: no moves"),
        ("", "empty", "no game in the file"),
        ('[Variant "Atomic"]\n\n1. e4 e5 1-0', "unsupported_variant", "line 1: a game of Atomic"),
        (
            '[SetUp "1"]\n[FEN "8/8/8/8/8/8/8/K6k w - - 0 1"]\n\n1. Kb1 *',
            "unsupported_variant",
            "line 1: begins from a set-up position",
        ),
        ('[FEN ""]\n\n1. e4 *', "unsupported_variant", "line 1: begins from a set-up position"),
        (
            '[Result "0-1"]\n\n1. e4 e5 1-0',
            "result_mismatch",
            "line 1: the header says 0-1, the moves end with 1-0",
        ),
        (
            SCHOLAR.replace("1-0", "0-1"),
            "result_mismatch",
            "line 1: ends in checkmate, yet the result is 0-1",
        ),
        (
            "1. e3 a5 2. Qh5 Ra6 3. Qxa5 h5 4. h4 Rah6 5. Qxc7 f6 6. Qxd7+ Kf7 7. Qxb7 Qd3 "
            "8. Qxb8 Qh7 9. Qxc8 Kg6 10. Qe6 1-0",
            "result_mismatch",
            "line 1: ends in stalemate, yet the result is 1-0",
        ),
    ],
)
def test_bad_games_are_rejected_by_name(text: str | bytes, reason: str, detail: str) -> None:
    ((found, said),) = verdicts(text)
    assert found == reason
    assert said.startswith(detail)


def test_a_bad_game_costs_only_itself() -> None:
    bad = ['[Event "x"]\n1. e5 *', '[Event "x"]\n1. e4', '[Variant "Horde"]\n1. e4 *', "huh *"]
    text = "\n\n".join(f'{game}\n\n[Event "good"]\n\n{SCHOLAR}' for game in bad)
    reasons = [reason for reason, _ in verdicts(text)]
    assert reasons[::2] == ["illegal_move", "unreadable", "unsupported_variant", "unreadable"]
    assert reasons[1::2] == ["ok"] * 4


def test_accepted_headers() -> None:
    start = chess.STARTING_FEN
    assert verdicts(f'[Variant "Standard"]\n[FEN "{start}"]\n\n{SCHOLAR}') == [("ok", "0")]
    assert verdicts(f'[Result "?"]\n\n{SCHOLAR}') == [("ok", "0")]
    assert verdicts('[White "\xff\xfe"]\n\n1. e4 *'.encode("latin-1")) == [("ok", "3")]


def test_options_refuse_by_name() -> None:
    assert verdicts(SCHOLAR, ChessOptions()) == [("too_short", "line 1: 7 plies")]
    assert verdicts(SCHOLAR, ChessOptions(min_plies=7)) == [("ok", "0")]
    decisive = ChessOptions(decisive_only=True)
    assert verdicts(RICH, decisive) == [("not_decisive", "line 1: the result is 1/2-1/2")]


def test_identity_is_of_moves_and_result_only() -> None:
    games = [
        read(f"{headers}{moves} {result}")[0]
        for headers in ("", '[White "a"]\n\n')
        for moves in ("1. e4 e5", "1. e4 {!} e5 $1")
        for result in ("1-0", "*")
    ]
    identities = [game.identity for game in games if isinstance(game, Game)]
    assert len(identities) == 8
    assert len(set(identities)) == 2
    assert all(len(identity) == 32 and int(identity, 16) for identity in identities)


def test_games_come_before_the_stream_is_read_to_its_end() -> None:
    stream = io.BytesIO(f"{SCHOLAR}\n".encode() * 30_000)
    first = next(read_pgn(stream, options=ALL))
    assert isinstance(first, Game)
    assert stream.tell() < BATCH_CHARS + 100_000


def test_memory_does_not_grow_with_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wm.games.chess.pgn.BATCH_CHARS", 20_000)
    text = "".join(make_game(0, index) for index in range(20)).encode()
    peaks = []
    for repeats in (6, 18):
        stream = io.BytesIO(text * repeats)
        tracemalloc.start()
        count = sum(1 for _ in read_pgn(stream, options=ALL))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == 20 * repeats
    assert peaks[1] < 1.2 * peaks[0]


def test_errors_of_the_stream_pass_through() -> None:
    cut = lzma.compress(f"{SCHOLAR}\n".encode() * 1000)[:-20]
    with lzma.open(io.BytesIO(cut)) as stream, pytest.raises(EOFError):
        list(read_pgn(stream, options=ALL))
