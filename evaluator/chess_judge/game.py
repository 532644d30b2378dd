"""One arena game: the board, its legal moves, and how it ended.

The endings are those of python-chess' ``Board.outcome(claim_draw=True)``, which replays the game
at every call; here repetitions are counted as moves are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import chess

from wm.games.chess.phase import phase
from wm.games.chess.players import VALUES
from wm.games.chess.vocabulary import encode


@dataclass(frozen=True, slots=True)
class Ending:
    """How a game ended."""

    reason: str
    """``checkmate``, ``stalemate``, ``insufficient_material``, ``fifty_moves``,
    ``threefold_repetition``, ``ply_cap`` or ``ply_cap_material``."""
    winner: chess.Color | None
    """None for a draw."""


class Game:
    """A game between two players, from an opening to its end."""

    def __init__(
        self,
        white: str,
        black: str,
        opening: int,
        moves: Sequence[str],
        *,
        max_plies: int,
        margin: int | None = None,
    ) -> None:
        """``moves`` (UCI) are played out first; ``opening`` is their number in the book.

        At ``max_plies`` the game is a draw, unless somebody is ahead by at least ``margin``.
        """
        self.white, self.black = white, black
        self.opening, self.opening_plies = opening, len(moves)
        self.board = chess.Board()
        self.tokens: list[int] = []
        """Vocabulary ids of all moves so far."""
        self._max_plies, self._margin = max_plies, margin
        self._seen: Counter[Hashable] = Counter([_position(self.board)])
        for uci in moves:
            self._make(chess.Move.from_uci(uci))
        self._look()

    @property
    def to_move(self) -> str:
        """Name of the player whose turn it is."""
        return self.white if self.board.turn else self.black

    @property
    def phase(self) -> int:
        """Phase id of the position, as models are told it."""
        return phase(self.board)

    @property
    def capped(self) -> bool:
        """Whether the ply cap ended the game."""
        return self.ending is not None and self.ending.reason.startswith("ply_cap")

    @property
    def result(self) -> str:
        """PGN result of a game that is over."""
        winner = self.ending.winner if self.ending else None
        return {chess.WHITE: "1-0", chess.BLACK: "0-1", None: "1/2-1/2"}[winner]

    def score(self, player: str) -> float:
        """1, 1/2 or 0 for a player of a game that is over."""
        winner = self.ending.winner if self.ending else None
        if winner is None:
            return 0.5
        return float((self.white if winner else self.black) == player)

    def push(self, move: chess.Move) -> None:
        """Make a legal move, and see whether it ended the game."""
        self._make(move)
        self._look()

    legal: list[chess.Move]
    """Legal moves of the position."""
    ending: Ending | None
    """None while the game goes on."""

    def _make(self, move: chess.Move) -> None:
        self.tokens.append(encode(move.uci()))
        self.board.push(move)
        if self.board.halfmove_clock == 0:
            self._seen.clear()  # nothing before a capture or a pawn move can come back
        self._seen[_position(self.board)] += 1

    def _look(self) -> None:
        self.legal = list(self.board.generate_legal_moves())
        self.ending = self._ending()

    def _ending(self) -> Ending | None:
        board = self.board
        if not self.legal and board.is_check():
            return Ending("checkmate", not board.turn)
        if board.is_insufficient_material():
            return Ending("insufficient_material", None)
        if not self.legal:
            return Ending("stalemate", None)
        if board.halfmove_clock >= 99 and board.can_claim_fifty_moves():
            return Ending("fifty_moves", None)
        if self._can_claim_threefold():
            return Ending("threefold_repetition", None)
        if len(board.move_stack) >= self._max_plies:
            return self._capped()
        return None

    def _can_claim_threefold(self) -> bool:
        if max(self._seen.values()) < 2:
            return False
        if self._seen[_position(self.board)] >= 3:
            return True
        return any(self._leads_to_third(move) for move in self.legal)

    def _leads_to_third(self, move: chess.Move) -> bool:
        self.board.push(move)
        third = self._seen.get(_position(self.board), 0) >= 2
        self.board.pop()
        return third

    def _capped(self) -> Ending:
        lead = _material_lead(self.board)
        if self._margin is None or abs(lead) < self._margin:
            return Ending("ply_cap", None)
        return Ending("ply_cap_material", lead > 0)


def _position(board: chess.Board) -> Hashable:
    """What makes two positions the same for repetition (FIDE 9.2.3)."""
    return (
        board.pawns,
        board.knights,
        board.bishops,
        board.rooks,
        board.queens,
        board.kings,
        board.occupied_co[chess.WHITE],
        board.turn,
        board.castling_rights,
        board.ep_square if board.has_legal_en_passant() else None,
    )


def _material_lead(board: chess.Board) -> int:
    """White's material less Black's, in pawns."""

    def count(piece: chess.PieceType, colour: chess.Color) -> int:
        return board.pieces_mask(piece, colour).bit_count()

    return sum(
        VALUES[piece] * (count(piece, chess.WHITE) - count(piece, chess.BLACK))
        for piece in chess.PIECE_TYPES
    )
