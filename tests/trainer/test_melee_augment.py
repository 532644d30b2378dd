from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.support.datasets import publish_dataset
from tests.support.melee_records import made_records
from tests.support.training import MLP, melee_games
from trainer.loop import Training
from trainer.melee_augment import mirror, swap_players, symmetric
from wm.games.melee.schema import FRAME, column
from wm.models.melee_features import Frames, decode
from wm.store import Store

Begin = Callable[..., Training]


def test_a_mirrored_game_has_left_and_right_exchanged_and_nothing_else() -> None:
    seen, turned = decode(made_records()), decode(mirror(made_records()))

    other_way = torch.tensor([1.0, -1, 1, 1])
    assert torch.equal(turned.core, seen.core * other_way)
    assert torch.equal(turned.velocity, seen.velocity * torch.tensor([-1.0, 1, -1, -1, 1]))
    assert torch.equal(turned.binary[..., 0], 1 - seen.binary[..., 0])
    assert torch.equal(turned.binary[..., 1:], seen.binary[..., 1:])
    # Sticks are v / 2 + 0.5, so that the other way is 1 - it.
    across, rest = [0, 2], [1, *range(3, 13)]
    assert torch.equal(turned.controller[..., across], 1 - seen.controller[..., across])
    assert torch.equal(turned.controller[..., rest], seen.controller[..., rest])
    assert torch.equal(turned.dynamics, seen.dynamics)
    assert torch.equal(turned.categories, seen.categories)
    assert (seen.core[..., 1] != 0).any()
    assert torch.equal(mirror(mirror(made_records())), made_records())


def test_who_dies_on_the_left_dies_on_the_right_in_the_mirror() -> None:
    frames = np.zeros((1, 5), FRAME)
    column(frames, "action")[0] = [(0, 1), (1, 2), (2, 3), (257, 1), (258, 258)]
    turned = mirror(torch.from_numpy(frames.view(np.uint8).reshape(1, 5, 104)))
    assert decode(turned).action[0].tolist() == [[0, 2], [2, 1], [1, 3], [257, 2], [258, 258]]


def test_only_stages_whose_halves_are_alike_are_mirrored() -> None:
    frames = np.zeros((3, 2), FRAME)
    frames["stage"] = [[31, 31], [3, 3], [8, 8]]
    records = torch.from_numpy(frames.view(np.uint8).reshape(3, 2, 104))
    assert symmetric(records).tolist() == [True, False, True]


def test_swapped_players_have_changed_places_in_every_column() -> None:
    seen, swapped = decode(made_records()), decode(swap_players(made_records()))

    def exchanged(frames: Frames) -> Frames:
        return Frames(
            *(
                getattr(frames, name).flip(-1 if name in ("state_age", "character") else -2)
                for name in Frames.__slots__
                if name != "stage"
            ),
            stage=frames.stage,
        )

    expected = exchanged(seen)
    for name in Frames.__slots__:
        assert torch.equal(getattr(swapped, name), getattr(expected, name)), name


@pytest.mark.parametrize("setting", ["mirror", "swap_players"])
def test_some_sequences_are_shown_otherwise_whichever_process_has_them(
    training: Begin, store: Store, setting: str
) -> None:
    games = melee_games(8)
    for game in games:
        game.rows["frames"]["stage"] = 31
    data = publish_dataset(store, "melee", {"train": [games], "val": [games]})
    change = {"mirror": mirror, "swap_players": swap_players}[setting]
    plain = training(data, model=MLP).task
    task = training(data, model=MLP, **{setting: True}).task
    changed = 0
    for step in range(12):
        seen, whole = plain.batch(step), task.batch(step)
        other = change(seen)
        turned = (whole == other).flatten(1).all(1)
        assert (turned | (whole == seen).flatten(1).all(1)).all()
        changed += int(turned.sum())
    assert 30 < changed < 66  # of 96

    halves = []
    for rank in (0, 1):
        task._team = type(task._team)(rank, 2, torch.device("cpu"))  # type: ignore[attr-defined]
        halves.append(task.batch(11))
    assert torch.equal(torch.cat(halves), whole)
