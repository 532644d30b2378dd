import chess
import numpy as np
import pytest

from wm.games.chess.phase import ENDGAME, MIDDLEGAME, OPENING, phase, phases

POSITIONS = [
    (chess.STARTING_FEN, OPENING),
    # Ply 20 is the last of the opening; then, or without castling rights, the middlegame begins.
    ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 11", OPENING),
    ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR b KQkq - 0 11", MIDDLEGAME),
    ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w - - 0 5", MIDDLEGAME),
    # Material decides first: 14 is an endgame, 15 with a queen is not.
    ("3qk3/8/8/8/8/8/8/R3K3 w Q - 0 5", ENDGAME),
    ("3qk3/8/8/8/8/8/8/NN2K3 w - - 0 40", MIDDLEGAME),
    # Without queens up to 20 is an endgame, 21 is not.
    ("rr2k3/8/8/8/8/8/8/RR2K3 w Q - 0 5", ENDGAME),
    ("rr1nk3/8/8/8/8/8/8/RN2K3 w - - 0 5", MIDDLEGAME),
]


@pytest.mark.parametrize(("fen", "expected"), POSITIONS)
def test_rule(fen: str, expected: int) -> None:
    board = chess.Board(fen)
    squares = np.zeros((1, 64), np.uint8)
    for square, piece in board.piece_map().items():
        squares[0, square] = piece.piece_type + (0 if piece.color else 6)
    rights = np.array([[bool(board.castling_rights), False, False, False]])
    assert phase(board) == expected
    assert phases(squares, rights, np.array([board.ply()])).tolist() == [expected]
