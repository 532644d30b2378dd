"""Trainings of some of a data set's games."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from encoder.split import positions
from tests.support.datasets import publish_dataset
from tests.support.training import MLP, chess_games, melee_games, publish_chess, publish_melee
from trainer.loop import Training, train
from trainer.setup import begin, make_task
from trainer.subset import _hashes
from trainer.team import Team
from wm.artifacts.dataset import open_dataset
from wm.models.build import weights_bytes
from wm.store import Store

Begin = Callable[..., Training]

GAMES: dict[str, dict[str, Any]] = {
    "chess": {"batch": 24},
    "melee": {"model": MLP, "batch": 64},
    "melee-window": {"model": MLP, "batch": 64, "mode": "window"},
}
"""Settings with which a few batches hold every game in use."""


@pytest.fixture(params=GAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(name: str, store: Store) -> str:
    return publish_chess(store) if name == "chess" else publish_melee(store)


def used(t: Training, steps: int = 20) -> set[str]:
    """Identities of the games that come up in some batches."""
    return {identity for step in range(steps) for identity in t.task.names(step)}


def test_fewer_games_are_a_part_of_more(training: Begin, name: str, data: str) -> None:
    chosen = [used(training(data, games=count, **GAMES[name])) for count in range(1, 9)]

    assert [len(games) for games in chosen] == list(range(1, 9))
    assert all(few < more for few, more in pairwise(chosen))


def test_games_are_chosen_whatever_their_place_and_the_seed(
    training: Begin, name: str, data: str, store: Store
) -> None:
    chess = name == "chess"
    games = (chess_games(24) if chess else melee_games(8))[::-1]
    held_out = chess_games(6, seed=1) if chess else melee_games(3, seed=1)
    parts = {"train": [games[:2], games[2:5], games[5:]], "val": [held_out]}
    turned = publish_dataset(store, "chess" if chess else "melee", parts, name="turned")

    t = training(data, games=4, **GAMES[name])
    other = training(turned, games=4, seed=5, **GAMES[name])

    assert t.task.games == other.task.games == 4
    assert used(t) == used(other)
    # Another choice would make trainings of two versions of this code incomparable.
    golden = [2, 8, 13, 19] if chess else [2, 5, 6, 7]
    assert sorted(int(identity, 16) for identity in used(t)) == golden


def test_two_processes_share_the_games_of_one(
    training: Begin, name: str, data: str, store: Store, tmp_path: Path
) -> None:
    alone = training(data, games=4, **GAMES[name])
    data_set = open_dataset(store, data, tmp_path)
    teams = [Team(rank, 2, torch.device("cpu"), leads=rank == 0) for rank in range(2)]
    tasks = [make_task(alone.config, data_set, team) for team in teams]

    assert {(task.games, task.units) for task in tasks} == {(4, alone.task.units)}
    for step in range(5):
        assert tasks[0].names(step) + tasks[1].names(step) == alone.task.names(step)


def test_without_a_number_nothing_changes(training: Begin, name: str, data: str) -> None:
    everything, all_of_them = (
        training(data, games=games, **GAMES[name]) for games in (None, 24 if name == "chess" else 8)
    )

    assert everything.task.games == all_of_them.task.games
    for step in range(5):
        assert everything.task.names(step) == all_of_them.task.names(step)
    ours, theirs = everything.task.batch(3), all_of_them.task.batch(3)
    if name == "chess":
        ours, theirs = ours.games.moves, theirs.games.moves
    assert torch.equal(ours, theirs)


def test_more_than_there_are_is_all_and_the_log_says_so(
    training: Begin, name: str, data: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="wm.trainer"):
        t = training(data, games=100, **GAMES[name])

    count = 24 if name == "chess" else 8
    assert t.task.games == count
    assert caplog.messages == [
        f"asked for 100 train games, there are {count} to learn from; all are used"
    ]


def test_held_out_games_stay_all(training: Begin, name: str, data: str) -> None:
    assert training(data, games=1, **GAMES[name]).task.units == (6 if name == "chess" else 3)


def test_games_that_teach_nothing_are_not_counted(training: Begin, melee_data: str) -> None:
    """Games have 60, 67, ... 109 frames; six are long enough."""
    task = training(melee_data, model=MLP, length=70, games=4).task

    assert task.games == 4
    names = {identity for step in range(20) for identity in task.names(step)}
    assert len(names) == 4
    assert names < {g.identity for g in melee_games(8)[2:]}


def test_a_part_is_learned_as_if_it_were_the_whole(
    training: Begin, chess_data: str, store: Store
) -> None:
    part = training(chess_data, games=10)
    chosen = used(part)
    games = [g for g in chess_games(24) if g.identity in chosen]
    parts = {"train": [games], "val": [chess_games(6, seed=1)]}
    alone = training(publish_dataset(store, "chess", parts, name="part"), stage="alone")

    metrics = train(part, begin(part))

    assert train(alone, begin(alone)) == metrics
    assert weights_bytes(part.best) == weights_bytes(alone.best)


def test_the_choice_has_nothing_to_do_with_the_split() -> None:
    identity = np.random.default_rng(0).integers(0, 256, (20_000, 16), np.uint8)
    identity[:10_000, :15] = 0  # the first hold little that is random

    for part in (identity[:200], identity[10_000:]):
        ranks = _hashes(part) / 2.0**64
        assert abs(ranks.mean() - 0.5) < 3 * (1 / 12 / len(part)) ** 0.5
        assert abs(np.corrcoef(ranks, positions(part, "wm"))[0, 1]) < 3 / len(part) ** 0.5
    assert len(np.unique(_hashes(identity[10_000:]))) == 10_000
