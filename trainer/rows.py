"""The rows of a split, gathered into batches: one operation, no worker processes.

Rows stay in memory-mapped shards, or move to the device once where it is an accelerator that has
room for them. Both give the same batches.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wm.artifacts.dataset import Split

ROOM = 0.5
"""Share of an accelerator's free memory that rows may take."""


class Games:
    """Where the games of a split lie: game g is rows ``first[g] : first[g] + length[g]``."""

    def __init__(self, split: Split) -> None:
        firsts, base = [], 0
        for shard in split.shards:
            firsts.append(np.asarray(shard.offsets[:-1], np.int64) + base)
            base += int(shard.offsets[-1])
        self._split = split
        self.first = _join(firsts)
        self.length = _join([np.diff(shard.offsets) for shard in split.shards])

    def __len__(self) -> int:
        return len(self.first)

    def fact(self, name: str) -> NDArray[np.int64]:
        """A per-game integer, for every game."""
        return _join([shard.facts[name] for shard in self._split.shards])

    def identity(self, games: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Identities of some games: [len(games), 16]."""
        return np.concatenate([shard.identity for shard in self._split.shards])[games]

    def names(self, games: NDArray[np.int64]) -> list[str]:
        """Identities of some games, 32 hex digits each."""
        return [one.tobytes().hex() for one in self.identity(games)]


class Column:
    """One column of a split, its shards as one array of rows."""

    def __init__(self, split: Split, name: str, device: torch.device) -> None:
        self._parts = [_plain(shard.rows[name]) for shard in split.shards]
        self._starts = np.cumsum([0, *map(len, self._parts)])
        self._row = np.empty(self._parts[0].shape[1:], self._parts[0].dtype)
        self._memory, begins = _span(self._parts)
        self._origins = begins - self._starts[:-1] * self._row.nbytes
        self._device = device
        self._resident = self._load() if _fits(self._parts, device) else None

    def gather(self, starts: NDArray[np.int64], length: int) -> Tensor:
        """Rows ``start : start + length`` for each start: [B, length, ...] on the device.

        A run stays within the shard that it starts in; past the shard's end, its last row repeats.
        """
        assert starts.min(initial=0) >= 0  # numpy would count from the end
        shards = np.searchsorted(self._starts, starts, "right") - 1
        left = self._starts[1:][shards] - starts  # rows to the end of the shard
        if self._resident is not None:
            rows = starts[:, None] + np.minimum(np.arange(length), left[:, None] - 1)
            return self._resident[torch.from_numpy(rows).to(self._device)]
        places = self._origins[shards] + starts * self._row.nbytes
        whole = left >= length
        if whole.all():
            runs = self._runs(places, length)
        else:
            runs = np.empty((len(starts), length, *self._row.shape), self._row.dtype)
            runs[whole] = self._runs(places[whole], length)
            for i in np.flatnonzero(~whole):
                part = self._parts[shards[i]][-left[i] :]
                runs[i, : left[i]] = part
                runs[i, left[i] :] = part[-1]
        return torch.from_numpy(runs).to(self._device)

    def _runs(self, places: NDArray[np.int64], length: int) -> NDArray[Any]:
        """Runs that end within their shards, each copied as one item of ``length`` rows.

        Slices of the shards, one by one, would take longer to make than to copy. So all memory from
        the first shard to the last is seen as one array, with an item that starts at every byte.
        Only those at ``places`` are touched, so it does not matter what lies between shards.
        """
        size = length * self._row.nbytes
        items = np.ndarray(max(len(self._memory) - size + 1, 0), f"V{size}", self._memory, 0, (1,))
        runs: NDArray[Any] = items[places]
        return runs.view(self._row.dtype).reshape(-1, length, *self._row.shape)

    def _load(self) -> Tensor:
        dtype = torch.from_numpy(self._row).dtype
        rows = torch.empty(
            (int(self._starts[-1]), *self._row.shape), dtype=dtype, device=self._device
        )
        for start, part in zip(self._starts, self._parts, strict=False):
            rows[start : start + len(part)] = torch.from_numpy(np.array(part))
        return rows


def _plain(part: NDArray[Any]) -> NDArray[Any]:
    part = np.asarray(part)  # no longer a memmap, which takes three times as long to slice
    # Vocabulary ids stay far below 2^15, and torch hardly knows what to do with uint16.
    return part.view(np.int16) if part.dtype == np.uint16 else part


def _span(parts: list[NDArray[Any]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The memory from the first part to the end of the last, and where in it each part begins."""
    assert all(part.flags.c_contiguous for part in parts)
    begins = np.array([part.ctypes.data for part in parts], np.int64)
    first = int(begins.min())
    end = max(begin + part.nbytes for begin, part in zip(begins.tolist(), parts, strict=True))
    memory = (ctypes.c_ubyte * (end - first)).from_address(first)
    return np.ctypeslib.as_array(memory), begins - first


def _fits(parts: list[NDArray[Any]], device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(part.nbytes for part in parts) < ROOM * free


def _join(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *(np.asarray(part, np.int64) for part in parts)])
