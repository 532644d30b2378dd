"""Supervised targets per second of the 4.3M Mamba-2: our trainer against the prototype's way.

    PYTHONPATH=. python benchmarks/melee_speed.py [--rounds 3] [--seconds 4] [--threads 2]

Whole updates (input, forward, backward, clipping, AdamW) on the same made frames, the sides in
turns in one process on the same cores. Ours is the trainer's own path; the prototype's is written
anew (benchmarks/prototype/melee.py), with the position loop that its scan falls back to and with
the matrix form that it takes where the window is a whole number of chunks. Both flush denormals
to zero, which the prototype did not. "Compiled" is the trainer's setting ``compile: true``, which
needs a C++ compiler and costs the first step about a minute.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from pathlib import Path

import torch

from benchmarks.prototype.melee import Prototype, PrototypeModel, Windows, encoded
from benchmarks.support.made import melee_rows, publish_melee
from benchmarks.support.rates import rates, table
from benchmarks.support.trainer import MAMBA2, Ours, ready
from wm.models.melee_features import decode
from wm.models.melee_model import FrameSequence, WorldModel
from wm.store import open_store

CONTEXT = 10
LOOP = "prototype, loop, K=10"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of a side in a round, at least")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--windows", type=int, default=256, help="in a batch, on all sides")
    parser.add_argument("--sequences", type=int, default=16, help="of 128 targets in a batch")
    options = parser.parse_args()

    records = [torch.from_numpy(melee_rows(2000, n).view("u1").reshape(-1, 104)) for n in range(8)]
    windows = Windows([encoded(decode(game)) for game in records], CONTEXT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(str(folder / "store"))
        data = publish_melee(store, games=16, frames=2000)
        common = {"data": data, "model": MAMBA2}
        every = common | {"length": 128, "batch": options.sequences}
        window = common | {"mode": "window", "batch": options.windows}
        ours = {
            "ours, every position, T=128, fp32": every | {"precision": "fp32"},
            "ours, every position, T=128, bf16": every | {"precision": "bf16"},
            "ours, every position, T=128, bf16, compiled": every
            | {"precision": "bf16", "compile": True},
            "ours, windows, K=10, fp32": window | {"precision": "fp32"},
            "ours, windows, K=10, bf16": window | {"precision": "bf16"},
        }
        trainings = {
            name: ready(store, folder, options.threads, **settings)
            for name, settings in ours.items()
        }
        theirs = {LOOP: "loop", "prototype, one SSD chunk, K=10": "ssd"}
        sides = {
            name: Prototype(PrototypeModel(scan), windows, options.windows).step
            for name, scan in theirs.items()
        } | {name: Ours(training).step for name, training in trainings.items()}

        model = next(iter(trainings.values())).model
        assert isinstance(model, WorldModel)
        for scan in theirs.values():
            print(f"same weights, largest difference of an output ({scan}):", same(model, scan))
        print(table(rates(sides, options.rounds, options.seconds), LOOP))


@torch.no_grad()
def same(model: WorldModel, scan: str) -> str:
    """How far the prototype's model with our weights is from ours, and how large outputs are.

    The controllers are silenced: ours enter before the first block, the prototype's after the last.
    """
    ours = copy.deepcopy(model).eval()
    torch.nn.init.normal_(ours.heads.weight, std=0.05)
    ours.scales.mean.zero_()
    ours.scales.std.fill_(1)
    assert isinstance(ours.backbone, FrameSequence)
    torch.nn.init.zeros_(ours.backbone.controller.weight)
    torch.nn.init.zeros_(ours.backbone.controller.bias)
    theirs = PrototypeModel(scan).eval()
    theirs.take(ours.state_dict())

    records = torch.from_numpy(melee_rows(64 + CONTEXT + 1, 0).view("u1").reshape(-1, 104))
    windows = Windows([encoded(decode(records))], CONTEXT)
    batch = torch.utils.data.default_collate([windows[i] for i in range(64)])
    expected = ours(torch.stack([records[i : i + CONTEXT + 1] for i in range(64)]), window=True)
    found = torch.cat(theirs(*batch[:3]), -1)
    return f"{(found - expected[:, 0]).abs().max():.1e} of {expected.abs().max():.1f}"


if __name__ == "__main__":
    main()
