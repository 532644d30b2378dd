"""How fast batches of frames are gathered, against plain copies of the same bytes.

    PYTHONPATH=. python benchmarks/gather.py [--frames 2000000]

The frames (104 bytes each) lie in memory-mapped shards whose pages have all been touched. Three
sides take turns, each in one thread, over more bytes than any cache holds:

- trainer.rows.Column.gather of runs at random places;
- a copy of the same bytes: the same runs out of the same shards by torch's index_select, which is
  told where they are (shard by shard, so they come in another order);
- a copy of as many bytes in order: numpy's copyto, which walks through the shards from front to
  back, into an array that is there already. What the second lacks to it is the price of jumping
  about in memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.support.made import publish_melee
from trainer.rows import Column
from wm.artifacts.dataset import open_dataset
from wm.store import open_store

FRAME = 104
ROUNDS = 9
BYTES = 5 * 10**8
"""Of a side in a round: no cache holds them from one round to the next."""
SHAPES = {"window K=10": (1024, 11), "window K=60": (512, 61)} | {
    "sequence T=128": (128, 129),
    "sequence T=512": (64, 513),
}
"""Runs in a batch, and frames in a run (a window or sequence, and the frame after it)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=2_000_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # only read here
    with tempfile.TemporaryDirectory() as name:
        store = open_store(f"{name}/store")
        key = publish_melee(store, games=options.frames // 10_000, frames=10_000)
        split = open_dataset(store, key, Path(name)).split("train")
        column = Column(split, "frames", torch.device("cpu"))
        shards = [np.asarray(shard.rows["frames"]) for shard in split.shards]
        print(f"{split.rows:,} frames in {len(shards)} shards, GB/s")
        print("                  runs  MB a batch  gather  same bytes   share  in order   share")
        for shape, (runs, length) in SHAPES.items():
            rates = compare(column, shards, runs, length)
            gather, same, order = (statistics.median(side) for side in rates)
            print(
                f"{shape:<16} {runs:5d} {runs * length * FRAME / 1e6:11.1f} {gather:7.2f} "
                f"{same:11.2f} {gather / same:7.0%} {order:9.2f} {gather / order:7.0%}"
            )


def compare(column: Column, shards: list[np.ndarray], runs: int, length: int) -> list[list[float]]:
    """GB/s of each round of gather, a copy of the same bytes and one of as many in order."""
    size = runs * length * FRAME
    calls = BYTES // size
    draw = np.random.default_rng(0)
    firsts = np.cumsum([0, *map(len, shards)])
    batches, parts = [], []
    for _ in range(calls):
        shard = draw.choice(len(shards), size=runs, p=[len(one) / firsts[-1] for one in shards])
        row = draw.integers([len(shards[i]) - length + 1 for i in shard])
        batches.append(firsts[shard] + row)
        parts.append([torch.from_numpy(row[shard == i]) for i in range(len(shards))])
    windows = [
        torch.from_numpy(shard).as_strided((len(shard) - length + 1, length * FRAME), (FRAME, 1))
        for shard in shards
    ]
    spans = [
        flat[at : at + size]
        for flat in (shard.reshape(-1) for shard in shards)
        for at in range(0, len(flat) - size + 1, size)
    ]
    target = np.zeros(size, np.uint8)
    sides: list[Callable[[int], object]] = [
        lambda i: column.gather(batches[i], length),
        lambda i: [
            view.index_select(0, rows) for view, rows in zip(windows, parts[i], strict=True)
        ],
        lambda i: np.copyto(target, spans[i % len(spans)]),
    ]
    rates: list[list[float]] = [[] for _ in sides]
    for turn in range(-1, ROUNDS):  # the first turn touches every page
        for side, found in zip(sides, rates, strict=True):
            begun = time.perf_counter()
            for i in range(calls):
                side(i)
            seconds = time.perf_counter() - begun
            if turn >= 0:
                found.append(calls * size / seconds / 1e9)
    return rates


if __name__ == "__main__":
    main()
