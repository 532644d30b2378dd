"""Memory of a training against the size of its data, and against its length.

    PYTHONPATH=. python benchmarks/train_memory.py [--mb 20 200 1000] [--steps 50 500]

Each row is a real attempt (python -m trainer). Melee: memory-mapped shards of growing size in
files. Chess: made games, in bf16, for which oneDNN compiles and keeps kernels for every shape of a
batch. Every process of the attempt is looked at in /proc ten times a second: RssAnon is what it
holds for itself, RssFile pages of mapped files (libraries and shards), which the system takes back
at will. The figures are the peaks of the training process, the largest of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.support.made import chess_games, publish_chess, publish_melee
from benchmarks.support.stage import begin, outcome
from trainer.config import TrainConfig
from wm.store import Store, open_store

FRAMES = 10_000
"""In a game: 1.04 MB."""
MELEE = {"kind": "mamba2", "d_model": 128, "layers": 2}
CHESS = {"kind": "lstm", "embed": 256, "hidden": 512, "layers": 1, "factored": True}
COMMON = {"device": "cpu", "validate_games": 4, "starts_per_game": 1}
FIELDS = ("VmRSS", "RssAnon", "RssFile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--mb", type=int, nargs="*", default=[20, 200, 1000])
    parser.add_argument("--steps", type=int, nargs="*", default=[50, 500])
    args = parser.parse_args()
    print("game   shards, MB  steps  parameters  peak MB: resident  anonymous  mapped  outcome")
    for megabytes in args.mb:
        games = round(megabytes * 1e6 / 104 / FRAMES)
        settings = {"model": MELEE, "steps": 20, "batch": 16}
        row("melee", lambda store, n=games: publish_melee(store, games=n, frames=FRAMES), settings)
    for steps in args.steps:
        settings = {"model": CHESS, "steps": steps, "batch": 32, "precision": "bf16"}
        row("chess", lambda store: publish_chess(store, chess_games(3000, (20, 250))), settings)


def row(game: str, publish: Callable[[Store], str], settings: dict[str, Any]) -> None:
    """Train on a data set that is made for it, and print how large the processes became."""
    with tempfile.TemporaryDirectory() as name:
        store = open_store(f"{name}/store")
        data = publish(store)
        size = sum(entry.size for entry in store.list(f"{data}/shards/"))
        config = TrainConfig.model_validate({"data": data, **COMMON, **settings})
        spec, process = begin(store, "bench", "train", config)
        peaks = dict.fromkeys(FIELDS, 0.0)
        while process.poll() is None:
            for pid in family(process.pid):
                for field, found in memory(pid).items():
                    peaks[field] = max(peaks[field], found)
            time.sleep(0.1)
        done = outcome(store, spec, process)
    resident, anonymous, mapped = peaks.values()
    print(
        f"{game:<6} {size / 1e6:10.1f} {config.steps:6d} {done.result['parameters']:11,d} "
        f"{resident:17.1f} {anonymous:10.1f} {mapped:7.1f} {done.peak_mb:9.1f}",
        flush=True,
    )


def family(root: int) -> list[int]:
    """A process and everything that it started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def memory(pid: int) -> dict[str, float]:
    """MB (10^6 bytes) by field of /proc/PID/status; nothing of a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":")[::2] for line in lines)
    return {name: int(text.split()[0]) * 1.024e-3 for name, text in pairs if name in FIELDS}


if __name__ == "__main__":
    main()
