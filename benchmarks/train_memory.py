"""Memory of a training against the size of its data.

    PYTHONPATH=. python benchmarks/train_memory.py [--mb 20 200 1000]

Each size is a real attempt (python -m trainer) on memory-mapped Melee shards in files. Every
process of the attempt is looked at in /proc ten times a second: RssAnon is what it holds for
itself, RssFile pages of mapped files (libraries and shards), which the system takes back at will.
The figures are the peaks of the training process, the largest of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.support.made import publish_melee
from benchmarks.support.stage import begin, outcome
from trainer.config import TrainConfig
from wm.store import open_store

FRAMES = 10_000
"""In a game: 1.04 MB."""
MODEL = {"kind": "mamba2", "d_model": 128, "layers": 2}
SETTINGS = {"model": MODEL, "steps": 20, "batch": 16, "validate_games": 4, "starts_per_game": 1}
FIELDS = ("VmRSS", "RssAnon", "RssFile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--mb", type=int, nargs="+", default=[20, 200, 1000])
    print("shards, MB  games  parameters  peak MB: resident  anonymous  mapped   of the outcome")
    for megabytes in parser.parse_args().mb:
        with tempfile.TemporaryDirectory() as name:
            store = open_store(f"{name}/store")
            games = round(megabytes * 1e6 / 104 / FRAMES)
            data = publish_melee(store, games=games, frames=FRAMES)
            size = sum(entry.size for entry in store.list(f"{data}/shards/"))
            config = TrainConfig.model_validate({"data": data, "device": "cpu", **SETTINGS})
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
            f"{size / 1e6:10.1f} {games:6d} {done.result['parameters']:11,d} {resident:17.1f} "
            f"{anonymous:10.1f} {mapped:7.1f} {done.peak_mb:16.1f}"
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
