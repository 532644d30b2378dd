"""Which items make batch number ``step``: a pure function, so the position is one integer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trainer.counter import bits, permute

Indices = NDArray[np.int64]

BLOCK = 16
"""Batches at most that are worked out together; those of a block are sorted by length together."""


@dataclass(frozen=True, eq=False)
class Order:
    """An endless stream of batches that visits every item once per epoch, shuffled anew each time.

    A batch is made of ``groups`` canonical parts of equal size. A process owns whole parts, so the
    stream is the same whatever number of processes shares it, as long as it divides ``groups``.
    """

    items: int
    batch: int
    groups: int
    seed: int
    lengths: Indices | None = None
    """Length of each item; with it, items of similar length share a batch (less padding)."""

    def share(self, step: int, rank: int = 0, world: int = 1) -> tuple[Indices, Indices]:
        """Epoch and item of each slot that process ``rank`` of ``world`` fills of a batch."""
        if self.groups % world:
            raise ValueError(f"{world} processes do not divide {self.groups} groups")
        block, number = divmod(step, self._batches)
        epochs, items = self._block(block)
        mine = slice(rank * self.batch // world, (rank + 1) * self.batch // world)
        return epochs[number, mine], items[number, mine]

    @property
    def _batches(self) -> int:
        """Batches in a block: a small part of an epoch, or a batch would be copies of one game."""
        return max(1, min(BLOCK, self.items // (4 * self.batch)))

    @lru_cache(maxsize=2)  # noqa: B019 - an order lives as long as its process
    def _block(self, block: int) -> tuple[Indices, Indices]:
        """Epoch and item of every slot of a block, each [batches, batch]."""
        size = self._batches * self.batch
        epochs, places = np.divmod(np.arange(block * size, (block + 1) * size), self.items)
        items = permute(places, self.items, bits(self.seed, "order", epochs))
        if self.lengths is not None:
            slots = self._by_length(block, self.lengths[items])
            epochs, items = epochs[slots], items[slots]
        return epochs.reshape(-1, self.batch), items.reshape(-1, self.batch)

    def _by_length(self, block: int, lengths: Indices) -> Indices:
        """The block's slots, sorted by length into batches whose own order is shuffled again."""
        batches = np.argsort(lengths, kind="stable").reshape(-1, self.batch)
        key = bits(self.seed, "bucket", block)
        shuffled = permute(np.arange(len(batches)), len(batches), key)
        # Dealt out like cards, so that every group gets short and long games.
        deal = np.arange(self.batch).reshape(-1, self.groups).T.ravel()
        return batches[shuffled][:, deal].ravel()
