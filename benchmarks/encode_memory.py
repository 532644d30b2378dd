"""Peak memory of the encode stage against the number of games.

    PYTHONPATH=. python benchmarks/encode_memory.py [--games 60 600]

Each size is a real attempt over replay files on disk: a process of its own, whose outcome says how
much memory its largest process held. Shards are small, so that the larger run fills many of them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.support.stage import run_stage
from encoder.config import EncodeConfig
from wm.games.melee.made import write_replays
from wm.stage import Outcome
from wm.store import open_store


def encode(replays: Path, folder: Path) -> Outcome:
    """Encode a folder of replays by a stage process of its own."""
    config = EncodeConfig(game="melee", name="m", source=str(replays), shard_mb=4, workers=2)
    return run_stage(open_store(str(folder / "store")), "bench", "encode", config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--games", type=int, nargs="+", default=[60, 600])
    for games in parser.parse_args().games:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_replays(folder / "replays", games, seed=1)
            outcome = encode(folder / "replays", folder)
        seconds = outcome.ended - outcome.started
        frames = sum(outcome.result["rows"].values())
        megabytes = outcome.result["bytes"] / 1e6
        print(
            f"{games} games, {megabytes:.1f} MB of shards: {seconds:.1f} s, "
            f"{frames / seconds:,.0f} frames/s, peak {outcome.peak_mb:.1f} MB"
        )


if __name__ == "__main__":
    main()
