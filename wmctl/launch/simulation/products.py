"""What simulated attempts leave: plausible figures, a function of the seed and the node."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

from wm.artifacts.model import publish_model
from wm.artifacts.result import ArenaResult, Interval, Pairing, PlayerRow, Sprt
from wm.stage.spec import StageSpec, attempt_prefix
from wm.store import Store
from wmctl.launch.simulation.job import SimulatedJob
from wmctl.run.spec import RunSpec


def product(
    spec: RunSpec, store: Store, one: SimulatedJob, steps: int, seed: int
) -> dict[str, Any]:
    """The result in the outcome of an attempt that ended well."""
    node = one.node
    luck = random.Random(f"{seed} {node.name}")
    if node.kind == "encode":
        games = node.expects
        return {
            "dataset": f"datasets/{node.config['name']}/simulated",
            "accepted": games.games,
            "hit": luck.random() < 0.9,
            "games": {"train": games.train, "val": games.val, "test": games.test},
            "rows": {"train": games.rows},
            "bytes": 100 * games.rows,
        }
    if node.kind == "train":
        figures = ("loss", "top1", "raw_legal", "change_accuracy", "position_skill@h=10")
        metrics = {name: luck.random() for name in figures}
        card = publish_model(
            store,
            node.name.encode(),
            name=node.game,
            game=node.game,
            config=node.config["model"],
            parameters=0,
            data="",
            data_fingerprint="",
            run=spec.run,
            stage=node.name,
            step=steps,
            metrics=metrics,
            training={},
        )
        return {
            "model": card.key,
            "step": steps,
            "units": 256,
            "cache": {"train": "hit", "val": "hit"},
            "metrics": metrics,
            "timing": {"step_s": one.unit_s, "startup_s": 1.0, "validate_s": 0.0, "save_s": 0.0},
        }
    prefix = attempt_prefix(one.job.run, one.job.stage, one.job.attempt)
    config = StageSpec.model_validate_json(store.get(f"{prefix}/spec.json")).config
    key = f"{prefix}/result.json"
    result = _arena(node.game, config["players"], luck)
    store.put(key, result.model_dump_json().encode())
    return {"result": key, "primary": result.primary, "units": 100}


def _arena(game: str, players: list[dict[str, Any]], luck: random.Random) -> ArenaResult:
    strength = {player["name"]: luck.gauss(0, 60) for player in players}
    rows = [
        PlayerRow(
            name=player["name"],
            model=player["model"],
            rating=_around(strength[player["name"]], 20),
            metrics={
                "fallback_rate": _around(luck.random() / 20, 0.005),
                "skill@h=10": _around(luck.random() - 0.3, 0.1),
            },
        )
        for player in players
    ]
    pairings = [_pairing(a, b, strength[a] - strength[b]) for a, b in combinations(strength, 2)]
    return ArenaResult(
        game=game, judge="simulated", primary="elo", players=rows, pairings=pairings, settings={}
    )


def _pairing(a: str, b: str, difference: float) -> Pairing:
    better = "accept_h1" if difference > 30 else "accept_h0" if difference < 0 else "continue"
    return Pairing(
        a=a,
        b=b,
        units=100,
        wins=40,
        draws=20,
        losses=40,
        score=0.5,
        elo=_around(difference, 30),
        difference=_around(difference / 300, 0.1),
        sprt=Sprt(elo0=0, elo1=40, model="normalized", llr=0, lower=-3, upper=3, decision=better),
    )


def _around(value: float, half: float) -> Interval:
    return Interval(value=value, low=value - half, high=value + half, n=100)
