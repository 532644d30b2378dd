"""What a small world model learns in a few minutes, against copying and constant velocity.

    PYTHONPATH=. python benchmarks/melee_model.py made [--games 2000]
    PYTHONPATH=. python benchmarks/melee_model.py real --replays FOLDER

Games are encoded and models trained by the stages' own processes; ``--set`` changes a setting of
the training. ``made``: one model, judged on the test split; intervals are over games. ``real``: of
few replays, so each that is long enough is held out once, a model is trained on the others, and
the errors of all are pooled; intervals are over stretches of ten seconds, which are not quite
independent, and say nothing about other players or characters.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from benchmarks.support.stage import run_stage
from encoder.config import EncodeConfig, SplitShares
from encoder.split import VAL, assign, positions
from evaluator.melee_judge.duel import Errors, duel, model
from evaluator.melee_judge.starts import HeldOut
from evaluator.rating.intervals import resampled_games
from trainer.config import TrainConfig
from wm.artifacts.dataset import Split, open_dataset
from wm.models.build import load_model
from wm.models.melee_model import WorldModel
from wm.store import Store, open_store

HORIZONS = (1, 2, 5, 10, 20, 60)
LONG = 1200
"""Frames that make a replay worth holding out."""
STRETCH = 600
"""Frames of a stretch."""
SHAPE = {
    "kind": "mamba2",
    "context": 32,
    "d_model": 160,
    "layers": 2,
    "d_state": 32,
    "headdim": 32,
    "chunk": 64,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "made": {
        "model": SHAPE | {"dropout": 0.0, "percent": "hit"},
        **{"steps": 1000, "batch": 32, "length": 64, "lr": 3e-3, "ema": 0.99},
    },
    "real": {
        "model": SHAPE | {"dropout": 0.2, "percent": "hit"},
        **{"steps": 300, "batch": 32, "length": 64, "lr": 1e-3, "weight_decay": 0.1},
        **{"ema": 0.99, "mirror": True, "swap_players": True},
    },
}
BETWEEN = {"made": 90, "real": 15}
"""Frames from one start of a rollout to the next."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("which", choices=SETTINGS)
    parser.add_argument("--games", type=int, default=2000)
    parser.add_argument("--replays", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--store", help="where data sets stay, for another run")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    if args.which == "real" and args.replays is None:
        parser.error("real needs --replays FOLDER, a folder of .slp files")
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(args.store or f"{scratch}/store")
        settings = changed(SETTINGS[args.which], args.set)
        print(json.dumps(settings))
        if args.which == "made":
            folds = [(encode(store, f"made:{args.games}?seed=1"), "test")]
        else:
            folds = [(data, "val") for data in leave_one_out(store, str(args.replays))]
        found = [
            judged(store, data, split, settings | {"seed": seed}, args.which, Path(scratch))
            for data, split in folds
            for seed in args.seeds
        ]
    show(found)


def encode(store: Store, source: str, **settings: Any) -> str:
    """Key of the data set; made only once in a store."""
    config = EncodeConfig(game="melee", name="melee", source=source, workers=2, **settings)
    return str(run_stage(store, unique(), "encode", config).result["dataset"])


def leave_one_out(store: Store, folder: str) -> list[str]:
    """Data sets of the same replays, in each of which another long one alone is held out."""
    shares = SplitShares(val=0.15, test=0)
    with tempfile.TemporaryDirectory() as scratch:
        key = encode(store, folder, split=shares)
        data = open_dataset(store, key, Path(scratch))
        shards = [shard for name in ("train", "val") for shard in data.split(name).shards]
        identity = np.concatenate([shard.identity for shard in shards])
        length = np.concatenate([np.diff(shard.offsets) for shard in shards])
    print(f"usable replays of {', '.join(map(str, sorted(length.tolist(), reverse=True)))} frames")
    keys = []
    for game in np.flatnonzero(length >= LONG):
        for salt in map(str, count()):
            held = np.flatnonzero(assign(positions(identity, salt), shares) == VAL)
            if held.tolist() == [game]:
                keys.append(encode(store, folder, split=shares.model_copy(update={"salt": salt})))
                break
    return keys


def judged(
    store: Store, data: str, split: str, settings: dict[str, Any], which: str, scratch: Path
) -> dict[str, Errors]:
    """Train on a data set; errors of the model and of both baselines in each unit of a split."""
    config = TrainConfig.model_validate(
        # One validation, at the end: held-out games steer nothing.
        {"data": data, "validate_every": settings["steps"], "checkpoint_every": settings["steps"]}
        | settings
    )
    begun = time.perf_counter()
    result = run_stage(store, unique(), "train", config).result
    world = load_model(store, result["model"])
    assert isinstance(world, WorldModel)
    metrics = result["metrics"]
    names = ("loss", "prototype.val_loss", "change_accuracy", "action_ece", "change_ece")
    print(
        f"{data}: {result['parameters']:,} parameters, {result['targets_per_s']:,.0f} targets/s, "
        f"{time.perf_counter() - begun:.0f} s; "
        + ", ".join(f"{name} {metrics[name]:.4g}" for name in names),
        flush=True,
    )
    part = open_dataset(store, data, scratch / "data").split(split)
    return duel(
        {"model": model(world)},
        units(part, STRETCH if which == "real" else None, BETWEEN[which], world.context),
        context=world.context,
        horizons=HORIZONS,
        rollouts=512,
        device=torch.device("cpu"),
        tick=lambda done, total: None,
    )


def units(split: Split, stretch: int | None, between: int, context: int) -> list[HeldOut]:
    """Games, or stretches of them, with starts at equal distances."""
    found = []
    for shard in split.shards:
        for g, identity in enumerate(shard.identity):
            frames = shard.rows["frames"][int(shard.offsets[g]) : int(shard.offsets[g + 1])]
            starts = np.arange(context, len(frames) - HORIZONS[-1], between)
            number = starts // (stretch or len(frames))
            found += [
                HeldOut(identity.tobytes().hex(), frames, starts[number == n])
                for n in np.unique(number)
            ]
    return found


def show(folds: list[dict[str, Errors]]) -> None:
    """The table of all folds together, and the skill of each."""
    pooled: dict[str, Errors] = {
        name: {
            family: np.concatenate([fold[name][family] for fold in folds])
            for family in ("position", "percent", "action")
        }
        for name in folds[0]
    }
    own, copy, glide = (pooled[name] for name in ("model", "copy_last", "constant_velocity"))
    draws = resampled_games(len(own["position"]), samples=2000, seed=0)
    print(f"{len(own['position'])} units")
    print("   h  position MAE: model   copy  const.vel.   skill against const.vel. (95 %)", end="")
    print("   percent MAE: model   copy   action accuracy: model  copy")
    for i, h in enumerate(HORIZONS):
        skill, low, high = skill_of(own["position"][:, i], glide["position"][:, i], draws)
        position = [float(np.nanmean(e["position"][:, i])) for e in (own, copy, glide)]
        percent = [float(e["percent"][:, i].mean()) for e in (own, copy)]
        action = [1 - float(e["action"][:, i].mean()) for e in (own, copy)]
        print(
            f"{h:4d} {position[0]:20.3f} {position[1]:6.3f} {position[2]:11.3f} "
            f"{skill:13.3f} ({low:6.3f} to {high:6.3f}) {percent[0]:25.3f} {percent[1]:6.3f} "
            f"{action[0]:24.3f} {action[1]:5.3f}"
        )
    if len(folds) > 1:
        for n, fold in enumerate(folds):
            skills = [
                1
                - np.nanmean(fold["model"]["position"][:, i])
                / np.nanmean(fold["constant_velocity"]["position"][:, i])
                for i in range(len(HORIZONS))
            ]
            print(f"training {n}: skill " + ", ".join(f"{s:.3f}" for s in skills))


def skill_of(
    own: NDArray[np.float64], baseline: NDArray[np.float64], draws: NDArray[np.int64]
) -> tuple[float, float, float]:
    """1 - error / error of a baseline, with its percentile interval over resampled units."""
    sampled = 1 - np.nanmean(own[draws], axis=1) / np.nanmean(baseline[draws], axis=1)
    low, high = np.quantile(sampled, (0.025, 0.975))
    return float(1 - np.nanmean(own) / np.nanmean(baseline)), float(low), float(high)


def unique() -> str:
    """Name of a run that nobody has used."""
    return f"bench-{time.time_ns():x}"


def changed(settings: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """Settings after changes such as ``lr=0.002`` or ``model.layers=3``."""
    settings = settings | {"model": dict(settings["model"])}
    for change in changes:
        name, _, value = change.partition("=")
        where = settings["model"] if name.startswith("model.") else settings
        where[name.removeprefix("model.")] = yaml.safe_load(value)
    return settings


if __name__ == "__main__":
    main()
