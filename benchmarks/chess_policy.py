"""How fast and how well the chess policy learns real games in a given time.

    PYTHONPATH=. python benchmarks/chess_policy.py --pgn games.pgn.xz --minutes 38 --out FOLDER

Encodes the games where they are not in the store yet (without any it makes some), measures the pace
of the shape in a short training, and trains for as many steps as fit the time, validations
included. All are stage processes of their own, as a launcher would start them. Prints the learning
curve.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.support.stage import run_stage
from encoder.config import EncodeConfig
from trainer.config import TrainConfig
from wm.store import Store, open_store
from wmctl.run.metrics import read_metrics

CALIBRATION = 48
"""Steps whose pace is measured: three blocks of batches of all lengths (trainer/order.py)."""
MARGIN = 0.97
"""Share of the time that is planned for; the pace of so few steps is not quite that of all."""


def main() -> None:
    args = arguments()
    if args.out is not None:
        measure(args, open_store(str(args.out / "store")))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(args, open_store(folder))


def measure(args: argparse.Namespace, store: Store) -> None:
    """Encode, train and print."""
    begun = time.monotonic()
    data = encode(store, args.pgn) if args.data is None else args.data
    print(f"{data}: {time.monotonic() - begun:.0f} s", flush=True)
    if args.steps is None:
        args.steps = plan(store, data, args)
    run = f"{args.name}-{time.time():.0f}"
    began = time.monotonic()
    outcome = run_stage(store, run, "train", settings(args, data, args.steps, args.validations))
    seconds = time.monotonic() - began
    print(f"{outcome.result['model']}: {seconds / 60:.1f} min, peak {outcome.peak_mb:.0f} MB")
    print(json.dumps(outcome.result, indent=1))
    for line in curve(store, run, args.batch):
        print(line)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--pgn", default="made:2000?seed=1", help="what the encoder reads games of")
    source.add_argument("--data", help="key of an encoded data set in the store")
    parser.add_argument("--out", type=Path, help="folder that the store is kept in")
    parser.add_argument("--name", default="policy", help="of the run, made unique by the time")
    parser.add_argument("--minutes", type=float, default=2, help="of the train stage, all told")
    parser.add_argument("--steps", type=int, help="instead of what fits the minutes")
    parser.add_argument("--shape", default="256,512,1", help="embed,hidden,layers")
    parser.add_argument("--factored", action="store_true", help="moves share their squares")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=64, help="games")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup", type=float, default=0.05)
    parser.add_argument("--board-weight", type=float, default=0.0, help="0: no board head")
    parser.add_argument("--min-context", type=int, default=8)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validations", type=int, default=5, help="points of the curve")
    parser.add_argument("--validate-games", type=int, default=512)
    parser.add_argument("--legality-positions", type=int, default=4096)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="FIELD=JSON", help="other settings of the trainer"
    )
    return parser.parse_args()


def encode(store: Store, source: str) -> str:
    """Key of the data set of these games; the stage finds it where it has been made before."""
    config = EncodeConfig(game="chess", name="chess", source=source)
    outcome = run_stage(store, f"games-{time.time():.0f}", "encode", config)
    key: str = outcome.result["dataset"]
    return key


def plan(store: Store, data: str, args: argparse.Namespace) -> int:
    """Steps that fit the minutes, by what start, steps, validation and checkpoint take."""
    run = f"{args.name}-pace-{time.time():.0f}"
    timing = run_stage(store, run, "train", settings(args, data, CALIBRATION, 1)).result["timing"]
    validation = timing["validate_s"] + timing["save_s"]
    left = args.minutes * 60 * MARGIN - timing["startup_s"] - args.validations * validation
    steps = int(left / timing["step_s"])
    if steps < 2 * args.validations:
        sys.exit(f"{args.minutes:g} minutes are too short: {timing}")
    print(f"{steps} steps of {args.batch} games fit: {json.dumps(timing)}", flush=True)
    return steps


def settings(args: argparse.Namespace, data: str, steps: int, validations: int) -> TrainConfig:
    """The trainer's, checked."""
    embed, hidden, layers = map(int, args.shape.split(","))
    every = -(-steps // validations)
    chosen = {
        "data": data,
        "model": {
            "kind": "lstm",
            "embed": embed,
            "hidden": hidden,
            "layers": layers,
            "dropout": args.dropout,
            "factored": args.factored,
            "board_head": args.board_weight > 0,
        },
        "steps": steps,
        "batch": args.batch,
        "seed": args.seed,
        "lr": args.lr,
        "warmup": args.warmup,
        "ema": args.ema,
        "board_weight": args.board_weight,
        "min_context": args.min_context,
        "precision": args.precision,
        "threads": args.threads,
        "processes": args.processes,
        "validate_every": every,
        "checkpoint_every": every,
        "validate_games": args.validate_games,
        "legality_positions": args.legality_positions,
        "device": "cpu",
    }
    chosen |= {name: json.loads(value) for name, value in (s.split("=", 1) for s in args.set)}
    return TrainConfig.model_validate(chosen)


def curve(store: Store, run: str, batch: int) -> Iterator[str]:
    """The validations of a training as a table."""
    lines = read_metrics(store, run, "train", 1)
    points = [line for line in lines if line["event"] == "validate"]
    names = list(points[-1]["metrics"])
    yield " ".join(["minute", "   games", "targets/s", *names])
    targets = [line for line in lines if line["event"] == "train"]
    for point in points:
        minute = (point["time"] - lines[0]["time"]) / 60
        pace = [line["targets_per_s"] for line in targets if line["step"] <= point["step"]][-1]
        cells = [f"{point['metrics'][name]:{len(name)}.4f}" for name in names]
        head = f"{minute:6.1f} {point['step'] * batch:8,} {pace:9,.0f}"
        yield " ".join([head, *cells])


if __name__ == "__main__":
    main()
