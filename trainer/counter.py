"""Randomness as a function: the same counters give the same numbers, in any order, anywhere.

Nothing here has a state, so nothing of it needs saving, and a process can compute any part of the
stream without the rest.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

U64 = NDArray[np.uint64]

_ROUNDS = 6


def bits(seed: int, purpose: str, *counters: ArrayLike) -> U64:
    """64 random bits for every combination of counters (integers that broadcast together).

    ``purpose`` keeps streams of one seed apart. Each counter goes through splitmix64's finaliser
    (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    state = _mix(np.asarray([seed ^ zlib.crc32(purpose.encode())], np.uint64))
    for counter in counters:
        state = _mix(state ^ _mix(np.atleast_1d(counter).astype(np.uint64)))
    return state


def uniform(seed: int, purpose: str, *counters: ArrayLike) -> NDArray[np.float64]:
    """Numbers in [0, 1)."""
    return np.ldexp((bits(seed, purpose, *counters) >> np.uint64(11)).astype(np.float64), -53)


def permute(index: NDArray[np.int64], size: int, key: U64) -> NDArray[np.int64]:
    """Where a random permutation of ``range(size)`` sends ``index``; ``key`` picks which one.

    ``key`` broadcasts with ``index``. A Feistel network permutes the next power of four, and what
    falls outside ``range(size)`` is sent on until it is inside ("cycle walking": Black and Rogaway,
    "Ciphers with arbitrary finite domains", 2002): fewer than four turns on average.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    place = index.astype(np.uint64)
    key = np.broadcast_to(key, place.shape)
    outside = np.ones(place.shape, bool)
    while outside.any():
        place[outside] = _feistel(place[outside], half, key[outside])
        outside = place >= size
    return place.astype(np.int64)


def _feistel(value: U64, half: int, key: U64) -> U64:
    """A permutation of ``2 * half`` bits."""
    shift, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = value >> shift, value & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (_mix(key + right + (np.uint64(turn) << np.uint64(32))) & mask)
    return (left << shift) | right


def _mix(value: U64) -> U64:
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
