"""Seconds from the start of a train stage to its first step, and the share of steps spent waiting.

    PYTHONPATH=. python benchmarks/startup.py [--repeats 3]

Real attempts, each a process tree of its own (python -m trainer), on made games; the figures are
those that the trainer itself publishes: the model card's startup_s, and input_wait of
metrics.jsonl.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from typing import Any

from benchmarks.support.made import chess_games, publish_chess, publish_melee
from benchmarks.support.stage import run_stage
from benchmarks.support.trainer import LSTM, MAMBA2
from trainer.config import TrainConfig
from wm.store import Store, open_store
from wmctl.run.metrics import read_metrics

STEPS = 12
LOG_EVERY = 4
COMMON = {"steps": STEPS, "log_every": LOG_EVERY, "validate_games": 4, "starts_per_game": 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        store = open_store(f"{name}/store")
        small = LSTM | {"embed": 256, "hidden": 512, "layers": 2}
        kinds = {
            "chess, LSTM 5.2M": {"data": publish_chess(store, chess_games(400)), "model": small},
            "melee, Mamba-2 4.3M": {
                "data": publish_melee(store, games=40, frames=10_000),
                "model": MAMBA2,
            },
        }
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for turn in range(repeats):
            for kind, settings in kinds.items():
                found[kind].append(attempt(store, f"{kind.split(',')[0]}-{turn}", settings))
    print("training             to the first step, s: best  median   input wait, median   worst")
    for kind, each in found.items():
        seconds, waits = zip(*each, strict=True)
        print(
            f"{kind:<20} {min(seconds):26.2f} {statistics.median(seconds):7.2f} "
            f"{statistics.median(waits):20.3%} {max(waits):7.3%}"
        )


def attempt(store: Store, run: str, settings: dict[str, Any]) -> tuple[float, float]:
    """Seconds to the first step, and the share of the spans after the first spent waiting."""
    config = TrainConfig.model_validate({**COMMON, **settings, "batch": 16, "device": "cpu"})
    result = run_stage(store, run, "train", config).result
    lines = read_metrics(store, run, "train", 1)
    waits = [line["input_wait"] for line in lines if line["event"] == "train"]
    return result["timing"]["startup_s"], statistics.mean(waits[1:])


if __name__ == "__main__":
    main()
