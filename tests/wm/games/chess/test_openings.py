from pathlib import Path

import chess
import pytest

from wm.errors import BadData, InputMissing
from wm.games.chess.openings import book, read_openings


def after(line: list[str]) -> chess.Board:
    board = chess.Board()
    for uci in line:
        board.push(board.parse_uci(uci))
    return board


def material(board: chess.Board, color: chess.Color) -> list[int]:
    return [len(board.pieces(piece, color)) for piece in chess.PIECE_TYPES]


def test_book_is_unique_legal_and_balanced() -> None:
    lines = book(120, seed=5)
    boards = [after(line) for line in lines]
    assert len({board.epd() for board in boards}) == 120
    for line, board in zip(lines, boards, strict=True):
        assert len(line) == 8
        assert material(board, chess.WHITE) == material(board, chess.BLACK)
        assert not board.is_check()
        for move in board.legal_moves:
            board.push(move)
            assert not board.is_checkmate()
            board.pop()


def test_book_is_a_function_of_its_seed() -> None:
    assert book(20, seed=1) == book(30, seed=1)[:20]
    assert book(20, seed=1) != book(20, seed=2)
    assert {len(line) for line in book(5, seed=1, plies=11)} == {11}


def test_book_refuses_what_there_is_not() -> None:
    assert len(book(20, seed=0, plies=1)) == 20
    with pytest.raises(ValueError, match="not 21 balanced openings of 1 plies"):
        book(21, seed=0, plies=1)


def test_read_tsv(tmp_path: Path) -> None:
    path = tmp_path / "book.tsv"
    path.write_text(
        "eco\tname\tpgn\n"
        "A00\tshort\t1. Nh3\n"
        "C60\tRuy\t1. e4 e5 2. Nf3 Nc6 3. Bb5\n"
        "C60\tRuy again\t1. e4 e5 2. Nf3 Nc6 3. Bb5\n"
    )
    ruy = ["e2e4", "e7e5", "g1f3", "b8c6", "f1b5"]
    assert read_openings(path, plies=5) == [ruy]
    assert read_openings(path, plies=1) == [["g1h3"], ruy]


def test_read_pgn(tmp_path: Path) -> None:
    path = tmp_path / "book.pgn"
    path.write_text('[Event "x"]\n\n1. e4 e5 *\n\n[Event "y"]\n\n1. c4 *\n\n1. d4 d5 1-0\n')
    assert read_openings(path, plies=2) == [["e2e4", "e7e5"], ["d2d4", "d7d5"]]


def test_files_that_hold_no_opening_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"missing\.pgn"):
        read_openings(tmp_path / "missing.pgn")
    short, other = tmp_path / "short.pgn", tmp_path / "other.tsv"
    short.write_text("1. e4 e5 *")
    with pytest.raises(BadData, match=r"short\.pgn holds no opening of 8 plies"):
        read_openings(short)
    short.write_text("1. e4 e5 *\n1. e4 Ke2 *")
    with pytest.raises(BadData, match=r"short\.pgn, line 2: ply 2: Ke2 is illegal"):
        read_openings(short, plies=2)
    other.write_text("eco\tname\tpgn\nA00\tx\t1. e4 e5\nA00\ty\t1. e4 Ke2\n")
    with pytest.raises(BadData, match=r"other\.tsv, line 3: ply 2: Ke2 is illegal"):
        read_openings(other, plies=2)
    for text in ("a,b\n1,2\n", ""):
        other.write_text(text)
        with pytest.raises(BadData, match=r"other\.tsv has no last column named pgn"):
            read_openings(other)


def test_lichess_openings(shared_data: Path) -> None:
    files = sorted((shared_data / "chess" / "openings").glob("*.tsv"))
    assert sum(len(read_openings(path)) for path in files) == 2352
