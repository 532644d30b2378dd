"""Melee duels on games of the small physics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluator.config import ArenaConfig
from evaluator.melee_judge.duel import anchor, duel
from evaluator.melee_judge.judge import judge
from evaluator.melee_judge.scores import better_baseline, primary_scores
from evaluator.melee_judge.starts import HeldOut, held_out
from tests.support.datasets import publish_dataset
from wm.artifacts.dataset import Dataset, open_dataset
from wm.artifacts.result import ArenaResult
from wm.errors import BadData
from wm.games.game import Game
from wm.games.melee.made import play
from wm.models.build import build
from wm.models.config import MLPConfig
from wm.models.melee_features import Frames, decode
from wm.models.melee_model import WorldModel
from wm.store import open_store

HORIZONS = [1, 5, 20]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six held-out games in two shards, one of them too short."""
    games = [
        Game(f"{i:032x}", {"frames": frames[: 20 if i == 3 else None]}, {"stage": 1})
        for i, (frames, _) in enumerate(play(6, seed=5, frames=500))
    ]
    folder = tmp_path_factory.mktemp("store")
    store = open_store(str(folder))
    key = publish_dataset(store, "melee", {"test": [games[:2], games[2:]]})
    return open_dataset(store, key, folder / "cache")


def arena(*players: str, **settings: object) -> ArenaConfig:
    anchors = ("copy_last", "constant_velocity")
    return ArenaConfig.model_validate(
        {
            "game": "melee",
            "data": "datasets/tiny/f00d",
            "players": [
                {"name": p, "anchor": p} if p in anchors else {"name": p, "model": f"models/m/{p}"}
                for p in players
            ],
            "horizons": HORIZONS,
            "starts_per_game": 4,
            **settings,
        }
    )


def world_model(seed: int = 0, noise: float = 0.0) -> WorldModel:
    """Predicts its kinematic prior; with ``noise``, wanders around it."""
    torch.manual_seed(seed)
    model = build(MLPConfig(context=4, hidden=16, trunk=16), "melee").eval()
    assert isinstance(model, WorldModel)
    if noise:
        with torch.no_grad():
            model.heads.weight.normal_(std=noise)
    return model


def fight(dataset: Dataset, config: ArenaConfig, **models: WorldModel) -> tuple[ArenaResult, str]:
    return judge(config, dataset, models, lambda done, total: None, CPU)


def starts(dataset: Dataset, **settings: int) -> list[HeldOut]:
    defaults = {"games": 9, "starts": 4, "gap": 60, "context": 4, "horizon": 20, "seed": 0}
    return held_out(dataset.split("test"), **{**defaults, **settings})


def test_starts_are_apart_inside_the_game_and_repeat_themselves(dataset: Dataset) -> None:
    games = starts(dataset)
    assert len(games) == 5
    for game in games:
        assert np.diff(game.starts).min(initial=60) >= 60
        assert game.starts.min() >= 4
        assert game.starts.max() + 20 <= len(game.frames)
        assert game.windows(4, 20).shape == (len(game.starts), 24, 104)
    assert [g.starts.tolist() for g in games] == [g.starts.tolist() for g in starts(dataset)]
    assert [g.starts.tolist() for g in games] != [
        g.starts.tolist() for g in starts(dataset, seed=1)
    ]


def test_starts_do_not_depend_on_the_other_games(dataset: Dataset) -> None:
    assert [g.identity for g in starts(dataset, games=2)] == [
        g.identity for g in starts(dataset)[:2]
    ]
    assert starts(dataset, games=2)[1].starts.tolist() == starts(dataset)[1].starts.tolist()


def test_a_window_holds_the_frames_around_its_start(dataset: Dataset) -> None:
    game = starts(dataset)[0]
    first = game.starts[0]
    assert (game.windows(4, 20)[0] == game.frames[first - 4 : first + 20]).all()


def test_a_player_that_is_constant_velocity_ties_with_it(dataset: Dataset) -> None:
    config = arena("constant_velocity", "copy_last").model_dump()
    config["players"][1] = {"name": "twin", "anchor": "constant_velocity"}
    result, _ = fight(dataset, ArenaConfig.model_validate(config))
    [pairing] = result.pairings
    assert (pairing.wins, pairing.draws, pairing.losses) == (0, pairing.units, 0)
    assert pairing.difference is not None
    assert (pairing.difference.low, pairing.difference.high) == (0, 0)
    assert pairing.los == 0.5
    twin = next(p for p in result.players if p.name == "twin")
    assert twin.rating is not None
    assert (twin.rating.low, twin.rating.value, twin.rating.high) == (0, 0, 0)


def test_a_wide_tie_zone_draws_everything(dataset: Dataset) -> None:
    players = ("constant_velocity", "copy_last")
    narrow, _ = fight(dataset, arena(*players, tie_zone=0))
    wide, _ = fight(dataset, arena(*players, tie_zone=2))
    assert narrow.pairings[0].draws == 0
    assert wide.pairings[0].draws == wide.pairings[0].units == 5


def test_batches_change_no_result(dataset: Dataset) -> None:
    players = {"m": anchor("copy_last")}
    one, all_ = (
        duel(
            players,
            starts(dataset),
            context=4,
            horizons=HORIZONS,
            rollouts=rollouts,
            device=CPU,
            tick=lambda *_: None,
        )
        for rollouts in (1, 1000)
    )
    for family, values in one["m"].items():
        np.testing.assert_array_equal(values, all_["m"][family])


def test_perfect_foresight_has_skill_1(dataset: Dataset) -> None:
    def clairvoyant(past: torch.Tensor, future: torch.Tensor) -> Frames:
        return decode(future)

    errors = duel(
        {"oracle": clairvoyant},
        starts(dataset),
        context=4,
        horizons=HORIZONS,
        rollouts=64,
        device=CPU,
        tick=lambda *_: None,
    )
    scores = primary_scores("position_skill@h=20", errors["oracle"], errors, HORIZONS)
    assert scores.min() > 0.9
    assert better_baseline(errors).shape == (5, 3)


def test_the_better_model_wins_the_duel(dataset: Dataset) -> None:
    config = arena("prior", "wanderer", "constant_velocity", "copy_last", starts_per_game=6)
    models = {"prior": world_model(), "wanderer": world_model(noise=0.5)}
    result, lines = fight(dataset, config, **models)
    pairing = result.pairing("prior", "wanderer")
    assert pairing is not None
    assert pairing.difference is not None
    assert pairing.difference.low > 0
    assert pairing.los == 1
    assert pairing.wins == pairing.units == 5
    ratings = {row.name: row.rating for row in result.players}
    assert ratings["constant_velocity"].value == 0
    assert ratings["prior"].value > ratings["wanderer"].value
    assert len(result.pairings) == 6
    assert {"position_skill", "skill@h=5", "pos_mae@h=20", "action_acc@h=1"} <= set(
        result.players[0].metrics
    )
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len({row["identity"] for row in rows}) == 5
    for score in ("prior", "wanderer"):
        mean = np.mean([row["scores"][score] for row in rows])
        own = next(p for p in result.players if p.name == score)
        assert own.metrics["position_skill"].value == pytest.approx(mean, abs=1e-5)


def test_what_limits_the_result_is_said(dataset: Dataset) -> None:
    config = arena("wanderer", "copy_last", horizons=[1, 90])
    result, _ = fight(dataset, config, wanderer=world_model(noise=0.5))
    notes = "\n".join(result.notes)
    assert "5 held-out games: with fewer than 20" in notes
    assert "1 held-out games were too short" in notes
    assert "wanderer does not beat the better of copying and constant velocity at h = 1" in notes
    assert "beyond 60 frames" in notes


def test_the_better_baseline_has_skill_0(dataset: Dataset) -> None:
    result, _ = fight(dataset, arena("constant_velocity", "copy_last"))
    for horizon in HORIZONS:
        skills = [p.metrics[f"skill@h={horizon}"].value for p in result.players]
        assert max(skills) == 0


def test_equal_settings_give_equal_bytes(dataset: Dataset) -> None:
    config = arena("prior", "copy_last")
    first, again = (fight(dataset, config, prior=world_model(noise=0.1)) for _ in range(2))
    assert first[0].model_dump_json() == again[0].model_dump_json()
    assert first[1] == again[1]


def test_rollouts_that_are_no_numbers_are_refused(dataset: Dataset) -> None:
    def broken(past: torch.Tensor, future: torch.Tensor) -> Frames:
        truth = decode(future)
        return replace(truth, core=truth.core * torch.nan)

    with pytest.raises(BadData, match="rollouts of broken are not finite"):
        duel(
            {"broken": broken},
            starts(dataset),
            context=4,
            horizons=HORIZONS,
            rollouts=64,
            device=CPU,
            tick=lambda *_: None,
        )


def test_a_split_without_a_long_enough_game(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="none of the 6 games in split test"):
        fight(dataset, arena("copy_last", "constant_velocity", horizons=[5000]))
    with pytest.raises(BadData, match="none of the 0 games in split val"):
        fight(dataset, arena("copy_last", "constant_velocity", split="val"))
