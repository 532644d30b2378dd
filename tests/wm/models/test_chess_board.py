"""Boards from moves, against python-chess."""

from __future__ import annotations

import io
import lzma
import random
from itertools import islice
from pathlib import Path

import chess
import chess.pgn
import pytest
import torch

from wm.games.chess.vocabulary import PAD, UNK, encode
from wm.models.chess_board import CLASSES, boards

OPERA = (
    "e2e4 e7e5 g1f3 d7d6 d2d4 c8g4 d4e5 g4f3 d1f3 d6e5 f1c4 g8f6 f3b3 d8e7 b1c3 c7c6 c1g5 b7b5 "
    "c3b5 c6b5 c4b5 b8d7 e1c1 a8d8 d1d7 d8d7 h1d1 e7e6 b5d7 f6d7 b3b8 d7b8 d1d8"
)
SPECIAL = {
    "long castling and a rook's e1 to g1 later": OPERA,
    "both castle short": "e2e4 e7e5 g1f3 g8f6 f1c4 f8c5 e1g1 e8g8",
    "black castles long": "d2d4 d7d5 e2e3 c8f5 f1d3 b8c6 g1f3 d8d7 e1g1 e8c8",
    "white takes en passant": "e2e4 a7a6 e4e5 d7d5 e5d6",
    "black takes en passant": "a2a3 d7d5 a3a4 d5d4 e2e4 d4e3",
    "a pawn takes a piece beside a pawn that could not be passed": (
        "e2e4 g8f6 e4e5 d7d6 a2a3 f6d5 a3a4 d5b4 h2h3 b4c6 h3h4 c6d4 e5d6"
    ),
    "a rook goes from e1 to g1 and a queen from e8 to c8": (
        "e2e4 e7e5 g1f3 b8c6 f1c4 d7d6 e1g1 c8d7 f1e1 d8e7 a2a3 e8d8 g1h1 e7e8 e1g1 d8e7 a3a4 e8c8"
    ),
    "a bishop moves like a pawn that takes en passant": "e2e4 a7a5 f1b5 c7c6 b5a6",
}


@pytest.mark.parametrize("moves", SPECIAL.values(), ids=SPECIAL)
def test_special_moves(moves: str) -> None:
    _compare([moves.split()])


@pytest.mark.parametrize("piece", "nbrq")
def test_a_pawn_becomes_any_piece(piece: str) -> None:
    _compare([f"a2a4 h7h5 a4a5 h5h4 a5a6 h4h3 a6b7 h3g2 b7a8{piece} g2h1{piece}".split()])


def test_random_games() -> None:
    games = [_random_game(random.Random(seed)) for seed in range(40)]
    kinds = {kind for game in games for kind in _kinds(game)}
    assert kinds == {"castling", "en passant", "promotion"}
    _compare(games)


def test_real_games(shared_data: Path) -> None:
    with lzma.open(shared_data / "chess" / "master_games_100k.pgn.xz", "rt", errors="replace") as f:
        text = io.StringIO("".join(islice(f, 6_000)))
    read = iter(lambda: chess.pgn.read_game(text), None)
    games = [[move.uci() for move in game.mainline_moves()] for game in read]
    assert len(games) > 100
    _compare(games)


def test_specials_change_nothing() -> None:
    moves = torch.tensor([[encode("e2e4"), UNK, encode("e7e5"), PAD, PAD]])
    found = boards(moves)[0].tolist()
    assert found[0] == found[1] == _pieces(["e2e4"])
    assert found[2] == found[3] == found[4] == _pieces(["e2e4", "e7e5"])


def _compare(games: list[list[str]]) -> None:
    """All games as one batch, padded at the end."""
    moves = torch.full((len(games), max(map(len, games))), PAD)
    for row, game in zip(moves, games, strict=True):
        row[: len(game)] = torch.tensor([encode(move) for move in game])
    found = boards(moves)
    assert found.shape == (*moves.shape, 64)
    assert found.max() < CLASSES
    for game, mine in zip(games, found.tolist(), strict=True):
        board = chess.Board()
        for ply, move in enumerate(game):
            board.push(board.parse_uci(move))  # raises where it is illegal
            assert mine[ply] == _classes(board), f"after {game[: ply + 1]}"


def _classes(board: chess.Board) -> list[int]:
    pieces = board.piece_map()
    return [
        pieces[square].piece_type + (0 if pieces[square].color else 6) if square in pieces else 0
        for square in chess.SQUARES
    ]


def _pieces(moves: list[str]) -> list[int]:
    board = chess.Board()
    for move in moves:
        board.push_uci(move)
    return _classes(board)


def _random_game(draw: random.Random) -> list[str]:
    """Legal, with a taste for what is rare."""
    board, moves = chess.Board(), []
    while len(moves) < 250 and (legal := list(board.legal_moves)):
        rare = [m for m in legal if m.promotion or board.is_castling(m) or board.is_en_passant(m)]
        move = draw.choice(rare or legal)
        moves.append(move.uci())
        board.push(move)
    return moves


def _kinds(game: list[str]) -> set[str]:
    board, kinds = chess.Board(), set()
    for uci in game:
        move = board.parse_uci(uci)
        kinds |= {"castling"} if board.is_castling(move) else set()
        kinds |= {"en passant"} if board.is_en_passant(move) else set()
        kinds |= {"promotion"} if move.promotion else set()
        board.push(move)
    return kinds
