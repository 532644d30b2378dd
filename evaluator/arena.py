"""The arena stage: load the players, let the game's judge compare them, publish the result."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from evaluator.config import ArenaConfig
from wm.artifacts.dataset import open_dataset
from wm.artifacts.model import load_card
from wm.artifacts.result import ArenaResult, Pairing
from wm.errors import BadConfig, Preempted
from wm.models.build import load_model
from wm.models.device import find_device
from wm.stage import StageContext

logger = logging.getLogger("wm.evaluator")


def run_arena(context: StageContext) -> dict[str, Any]:
    """Leaves ``result.json`` and the games; returns the result's key and a short table.

    The arena keeps no state between attempts: it is short, and a new attempt gives the same bytes.
    """
    config = context.settings(ArenaConfig)
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)  # decayed states of Mamba-2 would run ten times slower
    device = find_device(config.device)
    models = _load(context, config, device)
    for player in config.players:
        logger.info("player %s is %s", player.name, player.model or player.anchor)
    result, file, text = _judge(context, config, models, device)
    context.store.put(context.key(file), text.encode())
    published = result.model_copy(update={"files": {"games": context.key(file)}})
    key = context.key("result.json")
    context.store.put(key, published.model_dump_json(indent=1).encode())
    for note in result.notes:
        logger.info("note: %s", note)
    return {
        "result": key,
        "primary": result.primary,
        "table": _table(result),
        "units": sum(p.units for p in result.pairings),
        "decisions": {f"{p.a} vs {p.b}": _decision(p) for p in result.pairings},
    }


def _judge(
    context: StageContext, config: ArenaConfig, models: dict[str, Any], device: torch.device
) -> tuple[ArenaResult, str, str]:
    """The result, and name and text of the file of games."""

    def tick(done: int, total: int) -> None:
        context.progress(done, total, "games")
        if context.stopping.is_set():
            raise Preempted("the arena was stopped", hint="submit again to play it from the start")

    if config.game == "chess":
        from evaluator.chess_judge.judge import judge as judge_chess
        from wm.models.policy import PolicyState

        policies = {name: PolicyState(model) for name, model in models.items()}
        result, pgn = judge_chess(config, policies, tick, context.spec.run)
        return result, "games.pgn", pgn
    from evaluator.melee_judge.judge import judge as judge_melee

    assert config.data is not None  # ArenaConfig has checked it
    dataset = open_dataset(context.store, config.data, context.scratch)
    result, lines = judge_melee(config, dataset, models, tick, device)
    return result, "games.jsonl", lines


def _load(context: StageContext, config: ArenaConfig, device: torch.device) -> dict[str, nn.Module]:
    models: dict[str, nn.Module] = {}
    for player in config.players:
        if player.model is None:
            continue
        card = load_card(context.store, player.model)
        if card.game != config.game:
            raise BadConfig(
                f"{player.model} is a model of {card.game} and cannot enter an arena of "
                f"{config.game}",
                hint="`wmctl models list` shows the game of every model",
            )
        models[player.name] = load_model(context.store, card).to(device).eval()
    return models


def _decision(pairing: Pairing) -> str:
    """What its SPRT says; copies of games, which compare nothing, decide nothing."""
    return pairing.sprt.decision if pairing.sprt else "continue"


def _table(result: ArenaResult) -> list[dict[str, Any]]:
    """One short row a player, strongest first."""
    rows = [
        {
            "player": row.name,
            "elo": round(row.rating.value, 1),
            "low": round(row.rating.low, 1),
            "high": round(row.rating.high, 1),
        }
        for row in result.players
        if row.rating
    ]
    return sorted(rows, key=lambda row: -float(row["elo"]))
