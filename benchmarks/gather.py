"""How fast batches of frames are gathered, against plain copies of as many bytes.

    PYTHONPATH=. python benchmarks/gather.py [--frames 2000000]

The frames (104 bytes each) lie in memory-mapped shards whose pages have all been touched. Three
sides take turns, each in one thread: trainer.rows.Column.gather of runs at random places, its
result allocated anew; numpy's copyto of as many bytes, which walks through the same shards from
front to back, into an array that is there already; and torch's index_select of the same runs out of
one array in memory, which shards in files cannot be. What the last lacks to the copy is the price
of jumping about in memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.support.made import publish_melee
from trainer.rows import Column
from wm.artifacts.dataset import open_dataset
from wm.store import open_store

FRAME = 104
ROUNDS = 9
BYTES = 10**8
"""Of a side in a round."""
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
    with tempfile.TemporaryDirectory() as name:
        store = open_store(f"{name}/store")
        key = publish_melee(store, games=options.frames // 10_000, frames=10_000)
        split = open_dataset(store, key, Path(name)).split("train")
        column = Column(split, "frames", torch.device("cpu"))
        parts = [np.asarray(shard.rows["frames"]) for shard in split.shards]
        whole = torch.from_numpy(np.concatenate(parts))
        print(f"{split.rows:,} frames in {len(parts)} shards, GB/s")
        print("                  runs  MB a batch  gather   copy  index_select  gather/copy")
        for shape, (runs, length) in SHAPES.items():
            rates = compare(column, parts, whole, runs, length)
            gather, copy, select = (statistics.median(side) for side in rates)
            print(
                f"{shape:<16} {runs:5d} {runs * length * FRAME / 1e6:11.1f} {gather:7.2f} "
                f"{copy:6.2f} {select:13.2f} {gather / copy:12.0%}"
            )


def compare(
    column: Column, parts: list[np.ndarray], whole: Tensor, runs: int, length: int
) -> list[list[float]]:
    """GB/s of each round of gather, copy and index_select."""
    draw = np.random.default_rng(0)
    batches = [draw.integers(len(whole) - length, size=runs) for _ in range(16)]
    sources = [part.reshape(-1) for part in parts]
    target = np.zeros(runs * length * FRAME, np.uint8)
    size = len(target)
    spans = [
        source[at : at + size]
        for source in sources
        for at in range(0, len(source) - size + 1, size)
    ]
    windows = whole.as_strided((len(whole) - length + 1, length * FRAME), (FRAME, 1))
    wanted = [torch.from_numpy(batch) for batch in batches]
    sides: list[Callable[[int], object]] = [
        lambda i: column.gather(batches[i % 16], length),
        lambda i: np.copyto(target, spans[i % len(spans)]),
        lambda i: windows.index_select(0, wanted[i % 16]),
    ]
    calls = max(1, BYTES // size)
    rates: list[list[float]] = [[] for _ in sides]
    for turn in range(-1, ROUNDS):  # the first turn touches every page
        for side, found in zip(sides, rates, strict=True):
            begun = time.perf_counter()
            for i in range(calls):
                side(turn * calls + i)
            seconds = time.perf_counter() - begun
            if turn >= 0:
                found.append(calls * size / seconds / 1e9)
    return rates


if __name__ == "__main__":
    main()
