"""Reports made by hand, for pages of runs that are hard to come by."""

from __future__ import annotations

from typing import Any

from tests.support.runs import Script, small_run
from wm.artifacts.dataset import SPLITS, FileInfo, Inputs, Manifest, SplitInfo
from wm.artifacts.model import ModelCard, WeightsFile
from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow
from wmctl.report.collect import Report, Training
from wmctl.run.fold import read_state


def report(script: Script, **changes: Any) -> Report:
    """A report of the small run that got as far as the script says, with nothing made."""
    spec = small_run(**changes)
    return Report(spec, read_state(spec, script.events), {}, {}, {})


def card(**changes: Any) -> ModelCard:
    """The card of a small chess model."""
    fields: dict[str, Any] = {
        "name": "chess",
        "version": "r.train-winner.abcdef01",
        "game": "chess",
        "kind": "lstm",
        "config": {"kind": "lstm"},
        "parameters": 1234567,
        "weights": WeightsFile(key="models/chess/x/weights.safetensors", size=1, sha256="a" * 64),
        "data": "datasets/chess/f00d",
        "data_fingerprint": "f00d",
        "run": "r",
        "stage": "train-winner",
        "step": 1,
        "metrics": {"top1": 0.25},
        "training": {},
        "created": 0.0,
    }
    return ModelCard(**fields | changes)


def manifest(**changes: Any) -> Manifest:
    """The manifest of a chess data set of one game."""
    fields: dict[str, Any] = {
        "game": "chess",
        "name": "chess",
        "fingerprint": "f00d",
        "encoding": {},
        "encoding_sha256": "0" * 64,
        "inputs": Inputs(count=1, bytes=100, sha256="b" * 64, names=["games.pgn"]),
        "columns": {},
        "splits": {name: SplitInfo(games=1, rows=10, shards=[]) for name in SPLITS},
        "accepted": 3,
        "rejects": {},
        "rejects_file": FileInfo(key="datasets/chess/f00d/rejects.jsonl", size=0, sha256="c" * 64),
        "clipped": {},
        "missing": {},
    }
    return Manifest(**fields | changes)


def training(*points: dict[str, Any], made: ModelCard | None = None) -> Training:
    """A train stage with those lines of ``metrics.jsonl``."""
    return Training("train/winner", "chess", list(points), made)


def arena(*players: PlayerRow, **changes: Any) -> ArenaResult:
    """An arena in which the first player met the second, if there are two."""
    pairings = []
    if len(players) > 1:
        a, b = players[0].name, players[1].name
        pairings = [Pairing(a=a, b=b, units=4, wins=4, draws=2, losses=2, score=0.625)]
    fields: dict[str, Any] = {
        "game": "chess",
        "judge": "chess-pairs",
        "primary": "elo",
        "players": list(players),
        "pairings": pairings,
        "settings": {"horizons": [1, 10]},
    }
    return ArenaResult(**fields | changes)


def interval(value: float, low: float, high: float) -> Interval:
    """A figure of four units."""
    return Interval(value=value, low=low, high=high, n=4)
