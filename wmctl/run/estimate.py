"""How much work a node is, and how long it takes: measured before, else a stated guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from wm.artifacts.raw import load_raw
from wm.errors import InputMissing
from wm.models.config import ModelConfig
from wm.models.size import flops_per_target
from wm.store import Store
from wmctl.plan.node import Node

GUESS = "guess"
"""Source of an estimate that nothing was measured for."""

CORE_FLOPS = 3e10
"""Floating-point operations a second of one core in training small networks: 4.3M parameters reach
4e10 (facts/training.md §3.4), smaller ones less."""
GPU_SHARE = 0.05
"""Part of a GPU's peak that a training reaches, for the guess: 3-5 times off the bandwidth roof
(facts/training.md §2)."""
UNKNOWN_TFLOPS = 100.0
"""Peak of a GPU that no profile knows."""

_GUESSES = {"game": 0.01, "MB": 0.5, "pair": 0.03, "start": 0.003}
"""Seconds per unit of work. Making games is slower than reading real ones; pairs and starts are
those of small models on one core, or of large ones on a GPU."""
_START = {"encode": 2.0, "train": 6.0, "arena": 5.0}
"""Seconds before a stage gets to work: imports, the data set."""
_CLUSTER = 4.0
"""Seconds more on a cluster, with the image on the node."""
_DOUBT = {"guess": 0.7, "other": 0.3, "measured": 0.1}
"""Standard deviation of the logarithm of a time, by how it was found."""

_MODEL: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


class Estimate(BaseModel):
    """Work and time of a node: ``start_s + work * unit_s + tail_s`` seconds."""

    model_config = ConfigDict(extra="forbid")

    work: float
    unit: str
    start_s: float
    """Before the first unit."""
    unit_s: float
    """Of one unit; of a training with its share of validations and checkpoints."""
    tail_s: float = 0.0
    """After the last unit."""
    doubt: float
    """Standard deviation of the logarithm of the time."""
    source: str
    """The run in which it was measured, or ``guess``."""

    @property
    def seconds(self) -> float:
        """Of all of its work."""
        return self.seconds_of(self.work)

    def seconds_of(self, work: float) -> float:
        """Of some other amount of work."""
        return self.start_s + work * self.unit_s + self.tail_s

    def amount(self) -> str:
        """``1,500 steps``."""
        plural = "" if self.unit == "MB" or self.work == 1 else "s"
        return f"{self.work:,.0f} {self.unit}{plural}"


class Pace(BaseModel):
    """What was measured of a node that has ended: a sample of the ledger."""

    model_config = ConfigDict(extra="forbid")

    start_s: float
    unit_s: float
    validate_s: float = 0.0
    """Of one validation of ``units`` games."""
    save_s: float = 0.0
    """Of one checkpoint."""
    units: int = 0
    run: str
    time: float
    """Seconds since the epoch."""


def work_of(node: Node, store: Store | None = None) -> tuple[float, str]:
    """Games or MB to encode, steps to train, pairs or starts to compare; and which of them."""
    config = node.config
    if node.kind == "encode":
        source = config["source"]
        if not re.match(r"made:", source) and (size := _bytes(source, store)):
            return size / 1e6, "MB"
        return float(node.expects.games), "game"
    if node.kind == "train":
        return float(node.steps), "step"
    pairings = node.players * (node.players - 1) / 2
    if node.game == "chess":
        return config["pairs"] * pairings, "pair"
    games = min(config["games"], node.expects.test or config["games"])
    return float(games * config["starts_per_game"] * node.players), "start"


def guess(node: Node, work: tuple[float, str], on: str, tflops: Mapping[str, float]) -> Estimate:
    """An estimate from first principles; ``tflops`` holds the peaks of GPUs by name."""
    amount, unit = work
    start = _START[node.kind] + (_CLUSTER if on != "local" else 0)
    unit_s = _GUESSES.get(unit, 0.0)
    if node.kind == "train":
        unit_s = _positions(node) * _target_s(node, on, tflops)
    return Estimate(
        work=amount, unit=unit, start_s=start, unit_s=unit_s, doubt=_DOUBT["guess"], source=GUESS
    )


def estimate_from(
    node: Node, work: tuple[float, str], pace: Pace, *, scale: float = 1.0
) -> Estimate:
    """An estimate from a measured pace. ``scale``: how much more work a unit of this node is than
    one of the node that was measured."""
    amount, unit = work
    unit_s, tail = pace.unit_s * scale, 0.0
    if node.kind == "train":
        config = node.config
        games = min(config["validate_games"], node.expects.val)
        validate = pace.validate_s * games / pace.units if pace.units else pace.validate_s
        unit_s += validate / config["validate_every"] + pace.save_s / config["checkpoint_every"]
        tail = validate + pace.save_s
    return Estimate(
        work=amount,
        unit=unit,
        start_s=pace.start_s,
        unit_s=unit_s,
        tail_s=tail,
        doubt=_DOUBT["measured" if scale == 1 else "other"],
        source=pace.run,
    )


def pace_of(
    node: Node, work: tuple[float, str], seconds: float, result: Mapping[str, Any], run: str,
    time: float,
) -> Pace | None:  # fmt: skip
    """What an attempt that took ``seconds`` from start to end says of the node's pace."""
    if node.kind == "train":
        timing = result.get("timing", {})
        if not timing.get("step_s"):
            return None
        steps = result["step"]
        validate, save = timing.get("validate_s", 0.0), timing.get("save_s", 0.0)
        config = node.config
        held = 1 + steps // config["validate_every"]
        saved = 1 + steps // config["checkpoint_every"]
        rest = seconds - steps * timing["step_s"] - held * validate - saved * save
        return Pace(
            start_s=max(rest, 0.0),
            unit_s=timing["step_s"],
            validate_s=validate,
            save_s=save,
            units=int(result.get("units", 0)),
            run=run,
            time=time,
        )
    amount, _ = work
    start = min(_START[node.kind], seconds / 2)
    return Pace(start_s=start, unit_s=(seconds - start) / max(amount, 1e-9), run=run, time=time)


def targets_per_step(node: Node) -> float:
    """Positions with a loss in one update; of a window that is the last one."""
    if node.game == "melee" and node.config["mode"] == "window":
        return float(node.config["batch"])
    return _positions(node)


def shape(node: Node, *, like: bool = False) -> list[Any]:
    """Nodes of one shape take the same time per unit of work on the same hardware.

    ``like``: leaves out how much a unit is, for nodes that differ in nothing else.
    """
    parts: list[Any] = [node.kind, node.game, node.cores, node.pods]
    parts += [node.resources.gpu, node.gpus]
    config = node.config
    if node.kind == "train":
        model = {k: v for k, v in config["model"].items() if k not in ("context", "dropout")}
        if config["mode"] == "window" or model["kind"] == "mlp":
            model = config["model"]
        parts += [sorted(model.items()), config["mode"], config["precision"], config["processes"]]
        return parts if like else [*parts, config["batch"], config["length"]]
    if node.kind == "arena":
        return [*parts, node.players, config["max_plies"], max(config["horizons"])]
    scheme, colon, _ = config["source"].partition(":")
    return [*parts, scheme if colon else "files", config["workers"], config["inventory"]]


def unit_size(node: Node) -> float:
    """How much one unit of a node is, among nodes that are alike."""
    return float(node.config["batch"] * node.config["length"]) if node.kind == "train" else 1.0


def _positions(node: Node) -> float:
    """Positions that are computed in one update."""
    config = node.config
    if node.game == "melee":
        frames = config["length"] if config["mode"] == "every" else config["model"]["context"]
        return float(config["batch"] * frames)
    return float(config["batch"]) * node.expects.rows / max(node.expects.train, 1)


def _target_s(node: Node, on: str, tflops: Mapping[str, float]) -> float:
    flops = flops_per_target(_MODEL.validate_python(node.config["model"]))
    if node.resources.gpu and on != "local":
        peak = tflops.get(node.resources.gpu, UNKNOWN_TFLOPS) * 1e12
        return flops / (GPU_SHARE * peak * node.gpus * node.pods)
    return flops / (CORE_FLOPS * node.cores)


def _bytes(source: str, store: Store | None) -> int:
    """Of files at hand; 0 where nobody knows."""
    if source.startswith("raw:"):
        try:
            return load_raw(store, source.removeprefix("raw:")).bytes if store else 0
        except InputMissing:
            return 0
    if source.startswith("s3:"):
        return 0
    path = Path(source)
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size if path.is_file() else 0
