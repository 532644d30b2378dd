"""The identities of all games so far, at 16 bytes each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ID = np.dtype("S16")


class Seen:
    """A set of identities as sorted runs, merged while the last two are of like size.

    A Python set would take about 100 bytes a game, which for thirty million games is what the whole
    stage may use.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.bytes_]] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, identity: NDArray[Any]) -> NDArray[np.bool_]:
        """Add uint8 [G, 16]; returns bool [G], true where a game is new and the first of its kind
        in the batch."""
        ids = np.ascontiguousarray(identity).view(_ID).reshape(-1)
        unique, first = np.unique(ids, return_index=True)
        known = np.zeros(len(unique), bool)
        for run in self._runs:
            at = np.searchsorted(run, unique)
            known |= run[np.minimum(at, len(run) - 1)] == unique
        new = np.zeros(len(ids), bool)
        new[first[~known]] = True
        if not known.all():
            self._runs.append(unique[~known])
        while len(self._runs) > 1 and 2 * len(self._runs[-1]) > len(self._runs[-2]):
            self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]))]
        return new
