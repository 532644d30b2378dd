"""Arena settings that cannot work are refused with a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from evaluator.config import ArenaConfig

RANDOM = {"name": "random", "anchor": "random"}
GREEDY = {"name": "greedy", "anchor": "greedy"}
CHESS = {"game": "chess", "players": [GREEDY, RANDOM]}
MELEE = {
    "game": "melee",
    "data": "datasets/melee/f00d",
    "players": [
        {"name": "copy_last", "anchor": "copy_last"},
        {"name": "constant_velocity", "anchor": "constant_velocity"},
    ],
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (CHESS | {"players": [RANDOM]}, "at least 2"),
        (CHESS | {"players": [RANDOM, RANDOM]}, "two players are called random"),
        (CHESS | {"players": [RANDOM, {"name": "x"}]}, "either a model or an anchor"),
        (CHESS | {"players": [RANDOM, MELEE["players"][0]]}, "copy_last is no anchor of chess"),
        (CHESS | {"players": [RANDOM, {"name": "greedy", "model": "m"}]}, "kept for that anchor"),
        (CHESS | {"sprt": {"elo0": 5, "elo1": 5}}, "elo0 < elo1"),
        (CHESS | {"max_plies": 10, "opening_plies": 10}, "more than opening_plies"),
        (CHESS | {"pair": 3}, "Extra inputs"),
        (CHESS | {"decide": ["champion"]}, "decide names champion, who is no player; there are "),
        (CHESS | {"round": 0}, "greater than or equal to 1"),
        (MELEE | {"data": None}, "needs data"),
        (MELEE | {"horizons": [5, 1]}, "ascending"),
        (MELEE | {"primary": "position_skill@h=7"}, "primary must be one of"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ArenaConfig.model_validate(settings)


def test_the_anchor_is_the_games_own_whatever_the_order() -> None:
    assert ArenaConfig.model_validate(CHESS).anchor == "random"
    assert ArenaConfig.model_validate(MELEE).anchor == "constant_velocity"
    models = [{"name": n, "model": f"models/chess/{n}"} for n in "ab"]
    assert ArenaConfig.model_validate(CHESS | {"players": models}).anchor == "a"


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in ArenaConfig.model_fields.values())


def test_plans_can_be_checked_without_torch() -> None:
    code = "import sys, evaluator.config, evaluator.rating.sprt; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
