"""Which split a game belongs to: a pure function of its identity and the salt."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoder.config import SplitShares
from wm.artifacts.dataset import SPLITS

TRAIN, VAL, TEST = range(len(SPLITS))


def positions(identity: NDArray[Any], salt: str) -> NDArray[np.float64]:
    """Where games lie in [0, 1): float64 [G] from uint8 [G, 16]."""
    key = salt.encode()
    hashes = b"".join(blake2b(key + bytes(one), digest_size=8).digest() for one in identity)
    return np.frombuffer(hashes, "<u8") / 2.0**64


def assign(at: NDArray[np.float64], shares: SplitShares) -> NDArray[np.int8]:
    """Split of every position, int8 [G] of TRAIN, VAL, TEST."""
    held_out = np.where(at < shares.test, TEST, VAL)
    return np.where(at < shares.test + shares.val, held_out, TRAIN).astype(np.int8)


def fill_empty(
    split: NDArray[np.int8], at: NDArray[np.float64], shares: SplitShares
) -> NDArray[np.int8]:
    """Give every split with a share at least one of three games or more, all other games unmoved.

    A handful of games often leaves a held-out split empty by chance, and then nothing can be
    judged. The game that moves is the one that lies lowest in the largest split.
    """
    split = split.copy()
    wanted = (TRAIN, *((VAL,) if shares.val else ()), *((TEST,) if shares.test else ()))
    for empty in wanted:
        counts = np.bincount(split, minlength=len(SPLITS))
        if counts[empty] == 0 and len(split) >= len(SPLITS):
            donors = np.flatnonzero(split == counts.argmax())
            split[donors[at[donors].argmin()]] = empty
    return split
