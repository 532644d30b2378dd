"""Peak memory of the encode stage against the number of games.

    python benchmarks/encode_memory.py [--games 60 600 6000] [--frames 8000] [--shard-mb 16]

Every game has its own random frames, made by the workers, so that only the stage itself is
measured: isolation, checks, packing, writing. One line per size, measured in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from encoder.batch import FACTS, pack_games
from encoder.config import EncodeConfig
from encoder.encode import encode
from wm.games.game import Game
from wm.games.melee.schema import FRAME
from wm.store import open_store


@dataclass(frozen=True)
class RandomGames:
    """A reader that makes a game of whatever it is given."""

    frames: int

    def __call__(self, request: bytes) -> bytes:
        """One game; the same request gives the same game."""
        rng = np.random.default_rng(list(request[-40:]))
        frames = np.zeros(self.frames, FRAME)
        frames["f32"] = rng.random(frames["f32"].shape)
        facts = dict.fromkeys(FACTS["melee"], 0)
        return pack_games("melee", [Game(rng.bytes(16).hex(), {"frames": frames}, facts)])


def measure(games: int, frames: int, shard_mb: float, answer: Connection) -> None:
    """Encode in this process and say: seconds, MB written, peak MB of this process."""
    with tempfile.TemporaryDirectory() as folder:
        source, scratch = Path(folder) / "in", Path(folder) / "scratch"
        source.mkdir()
        scratch.mkdir()
        for number in range(games):
            (source / f"{number:08d}.slp").touch()
        config = EncodeConfig(game="melee", name="m", source=str(source), shard_mb=shard_mb)
        start = time.perf_counter()
        store = open_store(str(Path(folder) / "store"))
        result = encode(config, store, scratch, reader=RandomGames(frames))
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    answer.send((seconds, result["bytes"] / 1e6, peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--games", type=int, nargs="+", default=[60, 600])
    parser.add_argument("--frames", type=int, default=8000)
    parser.add_argument("--shard-mb", type=float, default=16)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for games in args.games:
        ours, theirs = context.Pipe()
        process = context.Process(target=measure, args=(games, args.frames, args.shard_mb, theirs))
        process.start()
        seconds, megabytes, peak = ours.recv()
        process.join()
        print(f"{games:7d} games {megabytes:9.1f} MB {seconds:7.1f} s  peak {peak:6.1f} MB")


if __name__ == "__main__":
    main()
