"""Sequential Melee arenas: duels in chunks of held-out games, and the test of every pairing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from evaluator.config import ArenaConfig
from evaluator.melee_judge.judge import judge
from evaluator.melee_judge.tally import pairing
from tests.support.datasets import publish_dataset
from wm.artifacts.dataset import Dataset, open_dataset
from wm.artifacts.result import ArenaResult
from wm.errors import Preempted
from wm.games.game import Game
from wm.games.melee.made import play
from wm.models.build import build
from wm.models.config import MLPConfig
from wm.models.melee_model import WorldModel
from wm.store import open_store

GAMES = 12
ANCHORS = ("copy_last", "constant_velocity")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    games = [
        Game(f"{i:032x}", {"frames": frames}, {"stage": 1})
        for i, (frames, _) in enumerate(play(GAMES, seed=5, frames=300))
    ]
    folder = tmp_path_factory.mktemp("store")
    store = open_store(str(folder))
    return open_dataset(store, publish_dataset(store, "melee", {"test": [games]}), folder / "cache")


def arena(*players: str, **settings: object) -> ArenaConfig:
    return ArenaConfig.model_validate(
        {
            "game": "melee",
            "data": "datasets/tiny/f00d",
            "players": [
                {"name": p, "anchor": p} if p in ANCHORS else {"name": p, "model": f"models/m/{p}"}
                for p in players
            ],
            "horizons": [1, 5, 20],
            "starts_per_game": 2,
            "bootstrap": 100,
            "sprt": {"elo0": 0, "elo1": 180},  # 8 wins accept H1, 12 draws leave it open
            "round": 4,
            "least": 8,
            **settings,
        }
    )


def world_model(noise: float = 0.0) -> WorldModel:
    """Predicts its kinematic prior; with ``noise``, wanders around it."""
    torch.manual_seed(0)
    model = build(MLPConfig(context=4, hidden=16, trunk=16), "melee").eval()
    assert isinstance(model, WorldModel)
    if noise:
        with torch.no_grad():
            model.heads.weight.normal_(std=noise)
    return model


def fight(
    dataset: Dataset, config: ArenaConfig, tick=lambda done, total: None
) -> tuple[ArenaResult, str]:
    models = {
        p.name: world_model(0.5 if p.name.startswith("wanderer") else 0.0)
        for p in config.players
        if p.model
    }
    return judge(config, dataset, models, tick, torch.device("cpu"))


@pytest.mark.parametrize(
    ("counts", "question", "llr"),
    [
        ((36433, 68692, 36027), {"elo0": 0, "elo1": 2}, 0.92),
        ((21404, 40708, 21184), {"elo0": 0.5, "elo1": 2.5, "model": "logistic"}, -1.57),
    ],
)
def test_the_test_of_a_duel_is_that_of_published_matches(
    counts: tuple[int, int, int], question: dict[str, object], llr: float
) -> None:
    """Leads inside the tie zone are draws; fastchess gives these ratios."""
    leads = np.repeat([0.5, 0.005, -0.5], counts)
    duel = pairing(arena(*ANCHORS, sprt=question), ANCHORS, leads)
    assert (duel.wins, duel.draws, duel.losses) == counts
    assert duel.sprt is not None
    assert duel.sprt.llr == pytest.approx(llr, abs=0.005)
    assert duel.sprt.decision == "continue"


def test_a_fixed_arena_has_a_test_of_every_pairing(dataset: Dataset) -> None:
    result, _ = fight(dataset, arena("prior", "wanderer", "copy_last"))
    assert [p.units for p in result.pairings] == [GAMES] * 3
    assert [p.sprt.decision for p in result.pairings if p.sprt] == [
        "accept_h1",
        "accept_h1",
        "accept_h0",
    ]
    assert not any(p.stopped for p in result.pairings)


def test_the_better_model_stops_at_the_least_number_of_games(dataset: Dataset) -> None:
    result, lines = fight(dataset, arena("prior", "wanderer", sequential=True))
    [duel] = result.pairings
    assert (duel.units, duel.wins, duel.stopped) == (8, 8, True)
    assert duel.sprt is not None
    assert duel.sprt.decision == "accept_h1"
    assert len(lines.splitlines()) == result.settings["games_used"] == 8
    assert any("stopped after 8 of 12 games, its SPRT accepts H1" in n for n in result.notes)
    assert not any("too short to be used" in note for note in result.notes)

    fixed, fixed_lines = fight(dataset, arena("prior", "wanderer", games=8))
    assert fixed.pairings == [duel.model_copy(update={"stopped": False})]
    assert (fixed.players, fixed_lines) == (result.players, lines)


def test_a_player_whose_duels_are_all_decided_rolls_out_no_more(dataset: Dataset) -> None:
    names = ("prior", "prior-2", "wanderer")
    result, lines = fight(dataset, arena(*names, sequential=True))
    units = {(p.a, p.b): p.units for p in result.pairings}
    assert units == {("prior", "prior-2"): 12, ("prior", "wanderer"): 8, ("prior-2", "wanderer"): 8}
    rows = [json.loads(line)["scores"] for line in lines.splitlines()]
    assert [set(row) for row in rows] == [set(names)] * 8 + [set(names[:2])] * 4
    assert [row.metrics["position_skill"].n for row in result.players] == [12, 12, 8]
    assert any("prior v prior-2: undecided after all 12 games" in n for n in result.notes)
    fixed, _ = fight(dataset, arena(*names))
    assert fixed.pairing("prior", "prior-2") == result.pairing("prior", "prior-2")
    assert fixed.players[0].metrics == result.players[0].metrics
    fixed, _ = fight(dataset, arena(*names, games=8))
    assert fixed.players[2].metrics == result.players[2].metrics
    for row in result.players:
        assert row.metrics["position_skill"].value == pytest.approx(
            np.mean([scores[row.name] for scores in rows if row.name in scores]), abs=1e-5
        )


def test_only_named_players_are_waited_for(dataset: Dataset) -> None:
    config = arena("prior", "prior-2", "wanderer", sequential=True, decide=["wanderer"])
    result, _ = fight(dataset, config)
    assert [(p.units, p.stopped) for p in result.pairings] == [(8, False), (8, True), (8, True)]
    assert not any("undecided" in note for note in result.notes)


def test_equal_settings_give_equal_bytes(dataset: Dataset) -> None:
    config = arena("prior", "wanderer", "copy_last", sequential=True)
    first, again = (fight(dataset, config) for _ in range(2))
    assert first[0].model_dump_json() == again[0].model_dump_json()
    assert first[1] == again[1]


def test_progress_and_stopping(dataset: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    config = arena("prior", "wanderer", sequential=True)
    fight(dataset, config, lambda done, total: seen.append((done, total)))
    assert seen == [(4, 12), (8, 12), (8, 8)]

    def stop(done: int, total: int) -> None:
        if done > 4:
            raise Preempted("stopped")

    with pytest.raises(Preempted):
        fight(dataset, config, stop)
