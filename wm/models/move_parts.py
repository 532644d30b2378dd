"""What moves have in common: their origins, targets and promotions."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from wm.games.chess.vocabulary import MOVES, SIZE, SQUARES

_PROMOTIONS = "nbrq"
PARTS = 2 * len(SQUARES) + len(_PROMOTIONS)


class MoveParts(nn.Module):
    """A vector for each origin, target and promotion; a move's is the sum of those of its parts.

    Added to a table that has a row for each move, it has moves that are seldom seen learn from
    those that share a square with them.
    """

    incidence: Tensor

    def __init__(self, width: int, std: float) -> None:
        super().__init__()
        self.vectors = nn.Embedding(PARTS, width)
        nn.init.normal_(self.vectors.weight, std=std)
        self.register_buffer("incidence", _incidence(), persistent=False)

    def forward(self) -> Tensor:
        """The sums of all moves: [V, width]; 0 for specials, which have no parts."""
        table: Tensor = self.incidence @ self.vectors.weight
        return table


@cache
def _incidence() -> Tensor:
    """Which parts a move has: float [V, PARTS]."""
    parts = torch.zeros(SIZE, PARTS)
    for token, move in enumerate(MOVES, SIZE - len(MOVES)):
        parts[token, SQUARES.index(move[:2])] = 1
        parts[token, len(SQUARES) + SQUARES.index(move[2:4])] = 1
        if move[4:]:
            parts[token, 2 * len(SQUARES) + _PROMOTIONS.index(move[4:])] = 1
    return parts
