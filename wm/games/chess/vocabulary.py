"""The fixed move vocabulary: two specials and the 1,968 moves that geometry allows.

A move is its UCI string; castling is the king's move over two squares. The ids do not depend on
any data, so every chess data set and every model share them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

PAD = 0
UNK = 1

FILES = "abcdefgh"
SQUARES = tuple(f"{file}{rank}" for rank in range(1, 9) for file in FILES)
"""Names of the squares in the order a1, b1, ..., h8: a square's number is its index."""

RESULTS = {"1-0": 0, "0-1": 1, "1/2-1/2": 2, "*": 3}
"""PGN result -> id of the winner: White, Black, drawn, unknown."""

WINNERS = "WBD?"
"""The winner's letter by its id."""

_PROMOTIONS = "nbrq"
_KNIGHT_REACH = {(1, 2), (2, 1)}


def _moves() -> Iterator[str]:
    for start, origin in enumerate(SQUARES):
        for stop, target in enumerate(SQUARES):
            across, along = abs(stop % 8 - start % 8), abs(stop // 8 - start // 8)
            queen = start != stop and (across == 0 or along == 0 or across == along)
            if not queen and (across, along) not in _KNIGHT_REACH:
                continue
            yield origin + target
            if across <= 1 and (start // 8, stop // 8) in {(6, 7), (1, 0)}:
                yield from (origin + target + piece for piece in _PROMOTIONS)


MOVES: tuple[str, ...] = tuple(sorted(_moves()))
"""UCI strings in sorted order; the id of ``MOVES[i]`` is ``i + 2``."""

SIZE = len(MOVES) + 2

_IDS = {uci: index + 2 for index, uci in enumerate(MOVES)}


def encode(uci: str) -> int:
    """Id of a move, ``UNK`` for anything that is no move."""
    return _IDS.get(uci, UNK)


def decode(token: int) -> str:
    """UCI string of an id; ``IndexError`` for specials and ids outside the vocabulary."""
    if not 2 <= token < SIZE:
        raise IndexError(f"{token} is not the id of a move")
    return MOVES[token - 2]


def squares(uci: str) -> tuple[int, int, int]:
    """Origin, target and promotion of a move, as :func:`encode_squares` takes them."""
    promotion = 2 + _PROMOTIONS.index(uci[4]) if len(uci) == 5 else -1
    return SQUARES.index(uci[:2]), SQUARES.index(uci[2:4]), promotion


def encode_squares(
    origin: ArrayLike, target: ArrayLike, promotion: ArrayLike
) -> NDArray[np.uint16]:
    """Ids of moves given as squares 0-63 and promotions (none -1, N 2, B 3, R 4, Q 5), all [n]."""
    pieces = np.asarray(promotion, np.intp) + 1
    ids: NDArray[np.uint16] = _BY_SQUARES[pieces, np.asarray(origin), np.asarray(target)]
    return ids


def _by_squares() -> NDArray[np.uint16]:
    table = np.full((7, 64, 64), UNK, np.uint16)
    for uci, token in _IDS.items():
        origin, target, promotion = squares(uci)
        table[promotion + 1, origin, target] = token
    return table


_BY_SQUARES = _by_squares()
