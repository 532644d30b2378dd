"""An epoch of the 2K-game Melee set on one GPU: every position, and windows of ten frames.

    PYTHONPATH=. python benchmarks/gpu_epoch.py [--frames 17725279] [--batch 256]

Frames are made (what they are changes no time), of as many games as the prototype's 2K set.
For each way of stepping (eager, compiled, captured as one CUDA graph, both) some hundred steps are
timed after a warm-up, between two waits for the device; an epoch is their mean times its steps. MFU
and the share of the memory's bandwidth are by first principles (facts/training.md section 2): what
a target must compute and move at least, of the card's peaks. Without CUDA it says so and ends:
nothing here is guessed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.support.made import publish_melee
from benchmarks.support.trainer import MAMBA2, ready
from trainer.ahead import Ahead
from trainer.step import make_update
from wm.store import Store, open_store

LENGTH = 9_843
"""Frames a game in the prototype's set."""
PEAKS = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12), "A100": (312e12, 2.0e12)}
"""Dense bf16 FLOP/s and bytes/s by the maker's data sheets (of the A100 that with 80 GB)."""
TARGET = {"every": (29e6, 267e3), "window": (235e6, 2.5e6)}
"""FLOP and bytes of a target: a position of a long sequence, or a window of ten frames."""
WAYS: dict[str, dict[str, bool]] = {
    "eager": {},
    "compiled": {"compile": True},
    "captured": {"cuda_graph": True},
    "both": {"compile": True, "cuda_graph": True},
}


def step_seconds(store: Store, folder: Path, steps: int, **settings: Any) -> tuple[float, float]:
    """Seconds and targets of a step."""
    t = ready(store, folder, 2, **settings)
    t.model.train()
    ahead = Ahead(t.task.batch, t.team.device)
    figures = torch.zeros(4)
    warm = max(2, steps // 5)
    for step in range(warm):
        figures = make_update(t, step, ahead.take(step, last=False))
    figures.tolist()  # waits for the device
    begun = time.perf_counter()
    for step in range(warm, warm + steps):
        figures = make_update(t, step, ahead.take(step, last=step + 1 == warm + steps))
    targets = float(figures[1])
    return (time.perf_counter() - begun) / steps, targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=17_725_279)
    parser.add_argument("--batch", type=int, default=256, help="sequences; windows are 16 times it")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--device", default="cuda", help="cpu shows that it runs, and no more")
    wanted = parser.parse_args()
    cuda = wanted.device == "cuda"
    if cuda and not torch.cuda.is_available():
        print("no CUDA here: run this where there is a GPU")
        return
    card = torch.cuda.get_device_name() if cuda else "CPU"
    peaks = next((each for name, each in PEAKS.items() if name in card), None)
    print(f"{card}, torch {torch.__version__}, {wanted.frames:,} frames")
    print("mode     way         ms/step   targets/s  epoch s   MFU bandwidth  GB")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = open_store(str(root / "store"))
        data = publish_melee(store, games=-(-wanted.frames // LENGTH), frames=LENGTH)
        for mode, batch in (("every", wanted.batch), ("window", 16 * wanted.batch)):
            for way, changes in WAYS.items() if cuda else [("eager", WAYS["eager"])]:
                seconds, targets = step_seconds(
                    store, root, wanted.steps, data=data, model=MAMBA2, device=wanted.device,
                    mode=mode, batch=batch, length=wanted.length, **changes,
                )  # fmt: skip
                # Every frame is a target once an epoch, but for the burn-in of each sequence.
                share = 1.0 if mode == "window" else targets / (batch * wanted.length)
                epoch = wanted.frames * share / targets * seconds
                used = [
                    f"{each * targets / seconds / peak:.1%}"
                    for each, peak in zip(TARGET[mode], peaks or (), strict=False)
                ] or ["?", "?"]
                memory = torch.cuda.max_memory_allocated() / 1e9 if cuda else 0.0
                if cuda:
                    torch.cuda.reset_peak_memory_stats()
                print(
                    f"{mode:8} {way:10} {1e3 * seconds:8.2f} {targets / seconds:11,.0f} "
                    f"{epoch:8.1f} {used[0]:>5} {used[1]:>9} {memory:3.0f}"
                )


if __name__ == "__main__":
    main()
