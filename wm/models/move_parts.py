"""What moves have in common: their origins, targets and promotions."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from wm.games.chess.vocabulary import MOVES, SIZE, squares
from wm.models.chess_board import SQUARES

_PARTS = 2 * SQUARES + 4
"""Origins, targets and the four pieces that a pawn may become."""


class MoveParts(nn.Module):
    """A vector for each origin, target and promotion; a move's is the sum of those of its parts.

    Added to a table that has a row for each move, it has moves that are seldom seen learn from
    those that share a square with them.
    """

    incidence: Tensor

    def __init__(self, width: int, std: float) -> None:
        super().__init__()
        self.vectors = nn.Embedding(_PARTS, width)
        nn.init.normal_(self.vectors.weight, std=std)
        self.register_buffer("incidence", _incidence(), persistent=False)

    def forward(self) -> Tensor:
        """The sums of all moves: [V, width]; 0 for specials, which have no parts."""
        table: Tensor = self.incidence @ self.vectors.weight
        return table


@cache
def _incidence() -> Tensor:
    """Which parts a move has: float [V, 132]."""
    parts = np.zeros((SIZE, _PARTS), np.float32)  # numpy: a torch call for each number is slow
    for token, move in enumerate(MOVES, SIZE - len(MOVES)):
        origin, target, promotion = squares(move)
        parts[token, origin] = 1
        parts[token, SQUARES + target] = 1
        if promotion >= 0:
            parts[token, 2 * SQUARES + promotion - 2] = 1  # a knight is 2
    return torch.from_numpy(parts)
