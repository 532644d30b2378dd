"""Reports made by hand, for pages of runs that are hard to come by."""

from __future__ import annotations

import time
from typing import Any

from tests.support.runs import PLAN, Script, small_run
from wm.artifacts.dataset import SPLITS, FileInfo, Inputs, Manifest, SplitInfo
from wm.artifacts.model import ModelCard, WeightsFile
from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow, Sprt
from wm.stage import Heartbeat
from wmctl.report.collect import Report, Training
from wmctl.run.fold import read_state
from wmctl.run.outlook import Outlook
from wmctl.run.prices import Prices
from wmctl.run.terms import Terms


def report(script: Script, **changes: Any) -> Report:
    """A report of the small run that got as far as the script says, with nothing made."""
    spec = small_run(**changes)
    return Report(spec, read_state(spec, script.events), {}, {}, {}, events=script.events)


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


def terms(now: float, **changes: Any) -> dict[str, Any]:
    """The detail of a submission to a cluster at ``now``, to be over in eight hours."""
    prices = Prices(cpu=0.04, gpus={"h100": 3.0, "l4": 0.8})
    made = Terms(on="kubernetes", hardware="kubernetes", deadline=now + 8 * 3600, prices=prices)
    return made.model_copy(update=changes).model_dump(mode="json")


GATE = "trained: every training ends well"
WORDS = (
    "2026-11-24T03:00:00Z INFO step 1200 of 4000: loss 4.7517, lr 0.000982, 7,323 targets/s",
    "2026-11-24T03:00:04Z INFO saved /scratch/wm/" + "checkpoint-" * 12 + "1200.safetensors",
)
SENTENCES = {
    "gate": f"{GATE}: train/winner: exit_code is 0, at most 0; train/loser: exit_code is 143, "
    "not at most 0: failed: the run goes on all the same",
    "chosen": "train/winner is taken: train/loser: the run would cost $21.30 of $20; "
    "train/winner: fits, $9.80, risk 3 %",
    "shortened": "the run would end 12 min after the deadline; shortened train-winner to 3,100 of "
    "4,000 steps",
    "skipped": "no room for train-loser: the run would cost $21.30 of $20",
    "hung": "enc has given no sign of life for 300 s; it is ended",
}
"""What a night decides, as events say it."""


def night() -> Report:
    """A night of the small run on a cluster, six hours in: everything that people look for."""
    now = time.time()
    began = now - 6 * 3600 - 30
    script = Script()
    script.now = began
    script.add("submitted", detail=terms(began))
    script.add("started", stage="enc", attempt=1)
    script.add("hung", stage="enc", attempt=1, text=SENTENCES["hung"])
    script.add("ended", stage="enc", attempt=1, code=160, text="no sign of life")
    script.walk("enc")
    prices = Prices(cpu=0.04, gpus={"h100": 2.9, "l4": 0.8}).model_dump()
    script.add("priced", text="other prices, by ada@desk", detail={"prices": prices})
    script.add("skipped", text=SENTENCES["skipped"], detail={"stages": ["train-loser"]})
    script.add("started", stage="train-winner", attempt=1, detail={"steps": 4000})
    seen = {"attempt": 1, "since": now - 6 * 3600, "done": 1200, "total": 4000, "per_s": 0.2}
    script.add("observed", detail={"train-winner": seen})
    script.now = now - 600
    steps = {"steps": {"train-winner": 3100}}
    script.add("shortened", text=SENTENCES["shortened"], detail=steps)
    script.add("gate", name=GATE, outcome="fail", text=SENTENCES["gate"])
    chosen = {"chosen": ["train-winner"], "left_out": ["train-loser"]}
    script.add("chosen", name="size", text=SENTENCES["chosen"], detail=chosen)
    stages = {k: v | {"resources": {"gpu": "h100"}} for k, v in PLAN["stages"].items()}
    made = report(
        script,
        budget=20,
        deadline="8h",
        about="Six hours of a night that has seen a few things.",
        stages=PLAN["stages"] | {"train": stages["train"]},
        gates=[{"name": GATE, "after": "train", "metric": "exit_code", "at_most": 0,
                "on_fail": "continue"}],
        choices={"size": {"among": ["train"], "fits": True}},
    )  # fmt: skip
    made.ahead = Outlook(
        time=now - 30,
        usd=18.1,
        usd_end=19.2,
        usd_worst=20.4,
        budget=20,
        finish=now + 5400,
        finish_worst=now + 7000,
        deadline=began + 8 * 3600,
        risk=0.08,
    )
    facts = {"loss": 4.25, "targets_per_s": 12345.6}
    made.heartbeats["train-winner"] = Heartbeat(
        time=now, done=1200, total=4000, unit="steps", facts=facts
    )
    points = [{"step": s, "event": "train", "loss": 9 - s / 400} for s in range(100, 1300, 100)]
    made.trainings["train-winner"] = training(*points)
    made.words["train/winner"] = list(WORDS)
    return made


def duel() -> ArenaResult:
    """A Melee arena whose SPRT has decided early."""
    players = [
        PlayerRow(name="train/winner", model="models/melee/w", rating=interval(40, 20, 60)),
        PlayerRow(name="base", model="models/melee/b", rating=interval(0, 0, 0)),
    ]
    sprt = Sprt(
        elo0=0, elo1=10, model="normalized", llr=3.01, lower=-2.94, upper=2.94,
        decision="accept_h1",
    )  # fmt: skip
    made = arena(*players, game="melee", judge="melee-duel", primary="position_skill")
    made.pairings[0].sprt, made.pairings[0].stopped = sprt, True
    made.pairings[0].difference = interval(0.021, 0.004, 0.038)
    return made
