"""Scripted chess policies: logits by a rule, in place of a trained model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import chess
import numpy as np
import torch
from torch import Tensor

from wm.games.chess.players import VALUES
from wm.games.chess.vocabulary import SIZE, decode, encode

Rule = Callable[[chess.Board], Tensor]
"""A position -> logits [V] for the next move."""


class ScriptedPolicy:
    """Same face as :class:`wm.models.policy.PolicyState`, with a rule inside."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.boards: list[chess.Board] = []

    def start(self, contexts: Sequence[Sequence[int]], phases: Sequence[int]) -> Tensor:
        self.boards = [chess.Board() for _ in contexts]
        for board, context in zip(self.boards, contexts, strict=True):
            for token in context:
                board.push_uci(decode(token))
        return self._logits()

    def step(self, moves: Sequence[int], phases: Sequence[int]) -> Tensor:
        for board, token in zip(self.boards, moves, strict=True):
            board.push_uci(decode(token))  # refuses illegal moves
        return self._logits()

    def keep(self, games: Sequence[int]) -> None:
        self.boards = [self.boards[i] for i in games]

    def _logits(self) -> Tensor:
        return torch.stack([self._rule(board) for board in self.boards])


def capturing(board: chess.Board) -> Tensor:
    """Takes the most valuable piece, else moves as :func:`noise` does."""
    logits = noise(board)
    for move in board.generate_legal_captures():
        taken = board.piece_type_at(move.to_square) or chess.PAWN
        logits[encode(move.uci())] += 10.0 * VALUES[taken]
    return logits


def noise(board: chess.Board) -> Tensor:
    """Random logits, a function of the position."""
    seed = [board.pawns, board.occupied, board.knights, board.fullmove_number, board.turn]
    return torch.from_numpy(np.random.default_rng(seed).random(SIZE, np.float32))


def illegal(board: chess.Board) -> Tensor:
    """The ten likeliest tokens are no legal moves."""
    logits = torch.zeros(SIZE)
    legal = {encode(move.uci()) for move in board.legal_moves}
    logits[[token for token in range(SIZE) if token not in legal][:10]] = 5.0
    return logits
