"""Sizes of the categorical columns, as the prototype's embeddings have them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from wm.games.melee.schema import AIRBORNE_GROUND

VOCABULARY = {
    "action": 400,
    "jumps": 8,
    "character": 33,
    "l_cancel": 3,
    "hurtbox": 3,
    "ground": 32,
    "last_attack": 64,
    "state_age": 150,
}
"""Column -> number of ids. A value at or above it shares the last row of its embedding."""

STAGES = 33
"""External stage ids of versus games are below this."""


def count_outside(name: str, values: NDArray[Any]) -> int:
    """How many values of a column lie outside its vocabulary.

    ``ground`` is stored raw: no ground (65535) has id 0 and the others are shifted by one.
    """
    size = VOCABULARY[name]
    if name == "ground":
        return int(((values >= size - 1) & (values != AIRBORNE_GROUND)).sum())
    return int((values >= size).sum())
