import hashlib
import subprocess
import sys

import chess
import numpy as np
import pytest

from wm.games.chess.vocabulary import (
    MOVES,
    PAD,
    SIZE,
    SQUARES,
    UNK,
    decode,
    encode,
    encode_squares,
)

CHECKSUM = "41536cd09f4af130d2525f022aeef3fc3ee8fcc7110cd3a13f0f166fdf2bbd7a"
"""SHA-256 of the moves joined by blanks: ids are part of every data set, so they never change."""


def test_ids_are_those_of_every_published_data_set() -> None:
    assert (len(MOVES), SIZE, PAD, UNK) == (1968, 1970, 0, 1)
    assert hashlib.sha256(" ".join(MOVES).encode()).hexdigest() == CHECKSUM


def test_moves_are_what_pieces_can_reach_on_an_empty_board() -> None:
    reach = set()
    for square in chess.SQUARES:
        for piece in (chess.QUEEN, chess.KNIGHT):
            board = chess.BaseBoard.empty()
            board.set_piece_at(square, chess.Piece(piece, chess.WHITE))
            for target in board.attacks(square):
                move = chess.Move(square, target)
                reach.add(move.uci())
                ranks = chess.square_rank(square), chess.square_rank(target)
                if ranks in {(6, 7), (1, 0)} and chess.square_distance(square, target) == 1:
                    reach |= {f"{move.uci()}{letter}" for letter in "nbrq"}
    reach -= {uci for uci in reach if len(uci) == 5 and abs(ord(uci[0]) - ord(uci[2])) > 1}
    assert set(MOVES) == reach
    assert list(SQUARES) == chess.SQUARE_NAMES


def test_decode_undoes_encode() -> None:
    assert [decode(encode(uci)) for uci in MOVES] == list(MOVES)
    assert [encode(uci) for uci in ("e1e1", "e7e8k", "", "0000")] == [UNK] * 4
    for token in (PAD, UNK, SIZE, -1):
        with pytest.raises(IndexError):
            decode(token)


def test_squares_and_strings_agree() -> None:
    moves = [chess.Move.from_uci(uci) for uci in MOVES]
    ids = encode_squares(
        [move.from_square for move in moves],
        [move.to_square for move in moves],
        [move.promotion or -1 for move in moves],
    )
    assert ids.dtype == np.uint16
    assert ids.tolist() == list(range(2, SIZE))
    assert encode_squares([0], [0], [-1]).tolist() == [UNK]


def test_ids_and_options_need_no_gpl_library() -> None:
    check = (
        "import sys, wm.games.chess.vocabulary, wm.games.chess.options, wm.games.chess.phase\n"
        "sys.exit(any(n in sys.modules for n in ('chess', 'rust_pgn_reader_python_binding')))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
