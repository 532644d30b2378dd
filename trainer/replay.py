"""``python -m trainer.replay``: makes one update of a training again and looks into its batch.

A process of its own because ``wmctl`` imports no torch. It restores the newest whole checkpoint
before the step, or starts from the initial weights, makes the updates up to it and prints one JSON
object: figures of the step and the loss of each of its games, or an error and its hint. Nothing is
written to the store.

One process stands for all: batches, order and weights are those of the training. On a CPU, at equal
``threads``, a training of one process is repeated bit by bit. One of several draws other dropout
masks on each process and adds up in another order, so its figures come out alike, not equal.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below, which take seconds
    from wm.early import end_on_signal

    end_on_signal()

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.batch import split, tensors
from trainer.checkpointing import Checkpoints
from trainer.config import TrainConfig
from trainer.faults import classify
from trainer.loop import validate
from trainer.preempt import Stopping
from trainer.reports import ProgressFile, leave
from trainer.setup import assemble, make_repeatable
from trainer.step import autocast, make_update
from trainer.team import Team
from trainer.training import Training
from trainer.updates import Unread
from wm.artifacts.checkpoint import Checkpoint, newest_checkpoint
from wm.artifacts.dataset import Dataset, open_dataset
from wm.errors import BadConfig, Exit, InputMissing
from wm.models.device import find_device
from wm.stage import StageSpec, locate
from wm.stage.parent import die_with_parent
from wm.store import Store, open_store

SAY_EVERY = 5.0
"""Seconds between lines of progress."""


def main(argv: Sequence[str]) -> int:
    """0, or the error's exit code; the answer on stdout, progress on stderr."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m trainer.replay", description=__doc__)
    parser.add_argument("--spec", required=True, help="address of the attempt's spec.json")
    parser.add_argument("--step", required=True, type=int, help="as metrics.jsonl counts: from 1")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="else the spec's")
    args = parser.parse_args(argv)
    try:
        root, key = locate(args.spec)
        store = open_store(root)
        spec = StageSpec.model_validate_json(store.get(key))
        with tempfile.TemporaryDirectory(prefix="wm-replay-") as scratch:
            answer = replay(store, spec, args.step, args.device, Path(scratch))
        code: int = Exit.OK
    except Exception as error:
        known = classify(error)
        if known is None:
            raise
        answer, code = {"error": known.message, "hint": known.hint}, known.code
    sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
    return code


def replay(
    store: Store, spec: StageSpec, step: int, device: str | None, scratch: Path
) -> dict[str, Any]:
    """Figures of update ``step`` (from 1) of the training that ``spec`` describes.

    ``device`` is auto, cpu or cuda; None takes the spec's. Numbers that are not finite are None.
    """
    config = TrainConfig.model_validate(spec.config)
    team = Team(0, 1, _device(device or config.device), leads=False)  # so it writes nothing
    if team.device.type == "cpu":
        config = config.model_copy(update={"cuda_graph": False})
    make_repeatable(config, team)
    data = _data(store, config, step, scratch)
    progress = ProgressFile(scratch, config.steps, enabled=False)
    t = assemble(store, spec, config, team, data, Stopping(), progress)
    found = Earlier(**vars(t.checkpoints), at_most=step - 1).restore()
    begun = found.step if found else 0
    if found is None:
        start = f"starting from the initial weights, {step - 1} updates"
        _say(f"no checkpoint before step {step} is left: {start}")
    _go_on(t, begun, step - 1)

    batch = t.task.batch(step - 1)
    games = losses_by_game(t, step - 1, batch)
    unread = Unread()
    unread.add(step - 1, make_update(t, step - 1, batch))
    (update,) = unread.read()
    figures = (update.loss, update.norm, *(game["loss"] for game in games if game["targets"]))
    return {
        "step": step,
        "checkpoint": found.key if found else None,
        "replayed": step - 1 - begun,
        "device": str(team.device),
        "loss": _finite(update.loss),
        "grad_norm": _finite(update.norm),
        "lr": t.schedule.rate(step - 1),
        "targets": update.targets,
        "finite": all(map(math.isfinite, figures)),
        "games": [game | {"loss": _finite(game["loss"])} for game in games],
    }


def losses_by_game(t: Training, number: int, batch: Any) -> list[dict[str, Any]]:
    """``game``, ``loss`` and ``targets`` of each item of a batch before its update, worst first.

    The loss is the mean over the item's own targets, nan without any, and without dropout, whose
    masks would differ from those of the whole batch.
    """
    found = []
    t.model.eval()
    with torch.no_grad(), autocast(t.config, t.team.device):
        items = split(batch, len(next(tensors(batch))))
        for name, item in zip(t.task.names(number), items, strict=True):
            one = t.task.loss(t.model, item)
            targets = int(one.count)
            loss = float(one.sum) / targets if targets else math.nan
            found.append({"game": name, "loss": loss, "targets": targets})
    t.model.train()
    return sorted(found, key=_badness, reverse=True)


def _badness(game: dict[str, Any]) -> tuple[bool, bool, float]:
    finite = math.isfinite(game["loss"])
    return game["targets"] > 0, not finite, game["loss"] if finite else 0.0


@dataclass(frozen=True)
class Earlier(Checkpoints):
    """A training's checkpoints after at most ``at_most`` updates."""

    at_most: int

    def restore(self) -> Checkpoint | None:
        """As the training itself would have gone on then; None where none of those is left."""
        stages = (self.spec.stage, self.config.continues)
        newest = (
            newest_checkpoint(self.store, self.spec.run, stage, at_most=self.at_most)
            for stage in stages
            if stage is not None
        )
        found = next(filter(None, newest), None)
        if found is not None:
            self.take_over(found)
        return found


def _go_on(t: Training, begun: int, end: int) -> None:
    """Make updates ``begun`` to ``end``."""
    t.model.train()
    said = time.monotonic()
    for number in range(begun, end):
        make_update(t, number, t.task.batch(number))
        # A validation changes nothing else.
        if t.config.schedule == "plateau" and (number + 1) % t.config.validate_every == 0:
            validate(t, number + 1)
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            _say(f"{number + 1 - begun} of {end - begun} updates made again")


def _data(store: Store, config: TrainConfig, step: int, scratch: Path) -> Dataset:
    try:
        return open_dataset(store, config.data, scratch)
    except InputMissing as error:
        raise InputMissing(
            f"step {step} cannot be made again: {error.message}",
            hint="encode it again (wmctl submit PLAN --only STAGE): the same files and settings "
            "give the same data set",
        ) from error


def _device(wanted: str) -> torch.device:
    try:
        return find_device(wanted)
    except BadConfig as error:
        error.hint = (
            "replay it where there is one, or with --device cpu: the same batches and updates, "
            "rounded otherwise"
        )
        raise


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
