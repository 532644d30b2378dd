"""Simple players under python-chess rules: the arena's anchors, and the two that make games."""

from __future__ import annotations

from collections.abc import Callable

import chess
import numpy as np

Player = Callable[[chess.Board, np.random.Generator], chess.Move]
"""Chooses a legal move of a position that is not over; the same generator state, the same move."""

VALUES = (0, 1, 3, 3, 5, 9, 0)
"""Worth in pawns by python-chess piece type; a king is never won or lost."""

_BACK = 0.5
"""How often ``idle`` takes its last move back where it can."""


def random(board: chess.Board, rng: np.random.Generator) -> chess.Move:
    """Any legal move, each as likely as the next."""
    return _pick(list(board.legal_moves), rng)


def greedy(board: chess.Board, rng: np.random.Generator) -> chess.Move:
    """The legal capture or promotion that wins most at once, without a look at the reply."""
    moves = list(board.legal_moves)
    gains = [_taken(board, move) + _promoted(move) for move in moves]
    best = max(gains)
    return _pick([move for move, gain in zip(moves, gains, strict=True) if gain == best], rng)


def idle(board: chess.Board, rng: np.random.Generator) -> chess.Move:
    """Random legal moves, half of them taking the last one back: gets nowhere, hangs pieces."""
    moves = list(board.legal_moves)
    if len(board.move_stack) >= 2 and rng.random() < _BACK:
        last = board.move_stack[-2]
        back = chess.Move(last.to_square, last.from_square)
        if back in moves:
            return back
    return _pick(moves, rng)


def keen(board: chess.Board, rng: np.random.Generator) -> chess.Move:
    """Mates in one, takes what pays (gladly on the square of the last move), queens its pawns, and
    else walks forward over safe squares. Looks no further than one reply."""
    moves = list(board.legal_moves)
    mate = mate_in_one(board, moves)
    if mate:
        return mate
    last = board.peek().to_square if board.move_stack else None
    noise = rng.random(len(moves)).tolist()
    scores = [
        10 * gain + 5 * (move.to_square == last) + _forward(board, move) + jitter
        for move, gain, jitter in zip(moves, exchanges(board, moves), noise, strict=True)
    ]
    ranked = [moves[i] for i in sorted(range(len(moves)), key=scores.__getitem__, reverse=True)]
    return next((move for move in ranked if not _stalemates(board, move)), ranked[0])


def mate_in_one(board: chess.Board, moves: list[chess.Move]) -> chess.Move | None:
    """A mate by direct check; discovered ones are overlooked."""
    king = board.king(not board.turn)
    assert king is not None
    occupied = board.occupied
    diagonal = chess.BB_DIAG_ATTACKS[king][chess.BB_DIAG_MASKS[king] & occupied]
    straight = (
        chess.BB_RANK_ATTACKS[king][chess.BB_RANK_MASKS[king] & occupied]
        | chess.BB_FILE_ATTACKS[king][chess.BB_FILE_MASKS[king] & occupied]
    )
    checking = {
        chess.PAWN: chess.BB_PAWN_ATTACKS[not board.turn][king],
        chess.KNIGHT: chess.BB_KNIGHT_ATTACKS[king],
        chess.BISHOP: diagonal,
        chess.ROOK: straight,
        chess.QUEEN: diagonal | straight,
        chess.KING: chess.BB_EMPTY,
    }
    for move in moves:
        if checking[move.promotion or _piece(board, move)] >> move.to_square & 1:
            board.push(move)
            mate = board.is_checkmate()
            board.pop()
            if mate:
                return move
    return None


def exchanges(board: chess.Board, moves: list[chess.Move]) -> list[int]:
    """What each move wins in pawns if the enemy takes back where it can, and no more is taken."""
    enemy = not board.turn
    attacked = {
        square: bool(board.attackers_mask(enemy, square)) for square in {m.to_square for m in moves}
    }
    return [
        _taken(board, move)
        + _promoted(move)
        - (VALUES[move.promotion or _piece(board, move)] if attacked[move.to_square] else 0)
        for move in moves
    ]


def _pick(moves: list[chess.Move], rng: np.random.Generator) -> chess.Move:
    return moves[int(rng.random() * len(moves))]


def _taken(board: chess.Board, move: chess.Move) -> int:
    if board.is_en_passant(move):
        return VALUES[chess.PAWN]
    return VALUES[board.piece_type_at(move.to_square) or 0]


def _promoted(move: chess.Move) -> int:
    return VALUES[move.promotion] - VALUES[chess.PAWN] if move.promotion else 0


def _piece(board: chess.Board, move: chess.Move) -> chess.PieceType:
    """The piece that moves; a king stakes nothing, for it cannot be taken back."""
    return board.piece_type_at(move.from_square) or chess.KING


def _forward(board: chess.Board, move: chess.Move) -> float:
    """How much a move advances: pawns before pieces, the further the better, the king last."""
    start, stop = move.from_square >> 3, move.to_square >> 3
    if board.turn == chess.BLACK:
        start, stop = 7 - start, 7 - stop
    piece = _piece(board, move)
    if piece == chess.PAWN:
        return 2 + stop / 2
    return 0 if piece == chess.KING else 1 + (stop - start) / 2


def _stalemates(board: chess.Board, move: chess.Move) -> bool:
    board.push(move)
    over = board.is_stalemate()
    board.pop()
    return over
