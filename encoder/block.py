"""Games in memory, until they fill one shard of each split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoder.batch import Batch
from encoder.config import SplitShares
from encoder.split import assign, fill_empty, positions
from wm.artifacts.dataset import SPLITS, FileInfo, ShardInfo
from wm.artifacts.shard import write_shard
from wm.store import Store

_DROPPED = -1


class Block:
    """Accepted games in their order."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._kept: list[NDArray[np.bool_]] = []
        self.games = 0
        self.bytes = 0
        """Of the rows of all batches."""

    def add(self, batch: Batch, kept: NDArray[np.bool_]) -> None:
        """Take the games of a batch for which ``kept`` [G] is true."""
        self._batches.append(batch)
        self._kept.append(kept)
        self.games += int(kept.sum())
        self.bytes += batch.bytes

    def identity(self) -> bytes:
        """Of all games, 16 bytes each."""
        pairs = zip(self._batches, self._kept, strict=True)
        return b"".join(batch.identity[kept].tobytes() for batch, kept in pairs)

    def write(
        self,
        store: Store,
        names: dict[str, str],
        scratch: Path,
        shares: SplitShares,
        *,
        first: bool,
    ) -> dict[str, ShardInfo]:
        """Publish one shard for every split that has games: split -> shard.

        ``names`` are the shards' keys. In the ``first`` block of a data set no split with a share
        stays empty if there are three games.
        """
        at = positions(np.frombuffer(self.identity(), np.uint8).reshape(-1, 16), shares.salt)
        split = assign(at, shares)
        if first:
            split = fill_empty(split, at, shares)
        by_batch = self._spread(split)
        shards = {}
        for number, name in enumerate(SPLITS):
            chosen = [of_batch == number for of_batch in by_batch]
            if any(mask.any() for mask in chosen):
                shards[name] = self._shard(store, names[name], scratch, chosen)
        return shards

    def _spread(self, split: NDArray[np.int8]) -> list[NDArray[np.int8]]:
        """Split of every game of every batch, _DROPPED for those not kept."""
        spread, start = [], 0
        for kept in self._kept:
            stop = start + int(kept.sum())
            of_batch = np.full(len(kept), _DROPPED, np.int8)
            of_batch[kept] = split[start:stop]
            spread.append(of_batch)
            start = stop
        return spread

    def _shard(
        self, store: Store, key: str, scratch: Path, chosen: list[NDArray[np.bool_]]
    ) -> ShardInfo:
        parts: dict[str, list[NDArray[Any]]] = {}
        lengths = []
        for batch, mask in zip(self._batches, chosen, strict=True):
            if not mask.any():
                continue
            lengths.append(batch.lengths[mask])
            rows = slice(None) if mask.all() else np.repeat(mask, batch.lengths)
            for name, values in batch.rows.items():
                parts.setdefault(name, []).append(values[rows])
            for name, values in batch.facts.items():
                parts.setdefault(f"facts.{name}", []).append(values[mask])
            parts.setdefault("identity", []).append(batch.identity[mask])
        ends = np.cumsum(np.concatenate(lengths), dtype="<i8")
        parts["offsets"] = [np.concatenate([np.zeros(1, "<i8"), ends])]
        info = publish(store, key, scratch, parts)
        return ShardInfo(**info.model_dump(), games=len(ends), rows=int(ends[-1]))


def publish(
    store: Store, key: str, scratch: Path, parts: dict[str, list[NDArray[Any]]]
) -> FileInfo:
    """Write a shard to ``scratch`` and then to the store."""
    path = scratch / "shard"
    with path.open("wb") as stream:
        sha256 = write_shard(stream, parts)
    size = store.upload(path, key).size
    path.unlink()
    return FileInfo(key=key, size=size, sha256=sha256)
