"""Trainings that go on where another stage of the run ended."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.training import LSTM, MLP
from trainer.loop import train
from trainer.setup import begin
from trainer.training import Training
from wm.artifacts.checkpoint import newest_checkpoint
from wm.errors import BadConfig, InputMissing
from wm.models.build import weights_bytes
from wm.store import Store

Begin = Callable[..., Training]

GAMES: dict[str, dict[str, Any]] = {
    "chess": {"model": LSTM, "ema": 0.9, "games": 20},
    "chess-plateau": {"model": LSTM, "schedule": "plateau", "plateau_patience": 0, "lr": 0.3},
    "melee": {"model": MLP},
}


@pytest.mark.parametrize("name", GAMES)
def test_stages_that_continue_each_other_end_with_the_bits_of_one(
    training: Begin, request: pytest.FixtureRequest, name: str
) -> None:
    data = request.getfixturevalue("melee_data" if name == "melee" else "chess_data")
    changes = GAMES[name] | {"schedule_steps": 12, "validate_every": 3}
    whole = training(data, stage="whole", steps=12, **changes)
    metrics = train(whole, begin(whole))

    first = training(data, stage="one", steps=3, **changes)
    train(first, begin(first))
    second = training(data, stage="two", steps=9, continues="one", **changes)
    assert begin(second) == 3
    train(second, 3)
    third = training(data, stage="three", steps=12, continues="two", **changes)
    assert begin(third) == 9

    assert train(third, 9) == metrics
    assert weights_bytes(third.best) == weights_bytes(whole.best)


def test_own_checkpoints_win(training: Begin, chess_data: str) -> None:
    other = training(chess_data, stage="one", steps=12)
    train(other, begin(other))
    own = training(chess_data, stage="two", steps=8)
    train(own, begin(own))

    again = training(chess_data, attempt=2, stage="two", steps=12, continues="one")

    assert begin(again) == 8


def test_what_is_taken_over_is_the_stages_own_at_once(
    training: Begin, chess_data: str, store: Store
) -> None:
    """Or a third stage would find nothing where the second was shortened to no update at all."""
    first = training(chess_data, stage="one", steps=8)
    train(first, begin(first))
    second = training(chess_data, stage="two", steps=4, continues="one")

    assert begin(second) == 8

    theirs, own = (newest_checkpoint(store, "r", stage) for stage in ("one", "two"))
    assert theirs is not None
    assert own is not None
    assert own.key == "runs/r/two/01/checkpoints/step-000008"
    assert own.tensors.keys() == theirs.tensors.keys()
    assert all((own.tensors[name] == theirs.tensors[name]).all() for name in own.tensors)
    assert own.state["config"]["continues"] == "one"


def test_a_stage_without_a_checkpoint_cannot_be_continued(training: Begin, chess_data: str) -> None:
    t = training(chess_data, stage="two", continues="one")

    with pytest.raises(InputMissing, match="two is to continue one, which has no whole check") as e:
        begin(t)

    assert "`wmctl status r` shows how one ended" in e.value.hint


@pytest.mark.parametrize("changes", [{"games": 5}, {"lr": 0.5}, {"seed": 7}])
def test_a_stage_of_other_settings_cannot_be_continued(
    training: Begin, chess_data: str, changes: dict[str, Any]
) -> None:
    first = training(chess_data, stage="one", steps=4)
    train(first, begin(first))

    (name, value) = next(iter(changes.items()))
    with pytest.raises(
        BadConfig, match=rf"runs/r/one/01/checkpoints/step-000004 was .* {name} .* has {value}"
    ) as error:
        begin(training(chess_data, stage="two", continues="one", **changes))

    assert error.value.hint == "a stage that continues another needs the same setting"
