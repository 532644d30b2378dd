from types import SimpleNamespace
from typing import Any, cast

import pytest

from trainer.guard import check
from trainer.task import Task
from trainer.updates import Update
from wm.errors import BadData
from wm.stage import StageSpec

SPEC = StageSpec(run="demo", stage="train-mlp", attempt=1, kind="train", config={})


def task(games: int) -> Task:
    names = [f"g{i}" for i in range(games)]
    return cast(Task, SimpleNamespace(names=lambda step: [f"{n}@{step}" for n in names]))


def update(**changes: Any) -> Update:
    return Update(**{"step": 7, "loss": 1.0, "targets": 5, "norm": 1.0, "stop": False} | changes)


def test_a_sound_update_is_let_pass() -> None:
    check(update(), task(1), SPEC)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"loss": float("nan")}, "loss is nan"),
        ({"norm": float("inf")}, "gradient norm is inf"),
        ({"loss": float("inf"), "norm": float("nan")}, "loss is inf"),
    ],
)
def test_what_is_not_finite_is_named_with_step_games_and_the_way_to_look_at_it(
    changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(BadData) as caught:
        check(update(**changes), task(6), SPEC)

    assert caught.value.message == (
        f"{what} at step 8, in a batch with games g0@7, g1@7, g2@7, g3@7 and 2 more; "
        "the update was not made"
    )
    assert "`wmctl replay-step demo train-mlp 8`" in caught.value.hint
