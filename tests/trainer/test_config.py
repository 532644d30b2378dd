import subprocess
import sys
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from trainer.config import TrainConfig
from wm.models.config import ModelConfig

BASE: dict[str, Any] = {"data": "datasets/chess/f00d", "model": {"kind": "lstm"}, "steps": 10}


def test_settings_survive_json_unchanged() -> None:
    config = TrainConfig(**BASE, horizons=(1, 60))

    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 30, "groups": 4}, "batch 30 is not a multiple of groups 4; take 32"),
        ({"processes": 3}, "processes 3 does not divide groups 4"),
        (
            {"pods": 2, "processes": 4},
            "pods 2 times processes 4 does not divide groups 4",
        ),
        ({"length": 8, "burn_in": 8}, "burn_in 8 leaves nothing of length 8"),
        ({"horizons": ()}, "horizons"),
        ({"horizons": (0,)}, "horizons"),
        ({"data": "games.pgn"}, "data"),
        ({"games": 0}, "games"),
        ({"schedule_steps": 0}, "schedule_steps"),
        ({"board_weight": 0.5}, "board_weight 0.5 needs a head to train: set model.board_head"),
        ({"loss": "prototype", "rare_actions": 0.5}, "rare_actions is for loss residual"),
        (
            {"loss": "prototype", "model": {"kind": "mlp", "percent": "hit"}},
            "no term for model.percent hit",
        ),
        ({"continues": "runs/other"}, "continues"),
        ({"ema": 1.0}, "ema"),
        ({"batchsize": 4}, "batchsize"),
        ({"model": {"kind": "transformer"}}, "model"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainConfig(**(BASE | changes))


def test_every_setting_is_documented() -> None:
    assert [n for n, f in TrainConfig.model_fields.items() if not f.description] == []


def test_headings_of_the_help_name_settings() -> None:
    assert TrainConfig.headings.keys() <= TrainConfig.model_fields.keys()
    assert next(iter(TrainConfig.headings)) == next(iter(TrainConfig.model_fields))


@pytest.mark.parametrize("kind", get_args(get_args(ModelConfig)[0]))
def test_every_setting_of_a_model_is_documented(kind: type[BaseModel]) -> None:
    fields = {n: f for n, f in kind.model_fields.items() if n != "kind"}
    assert [n for n, f in fields.items() if not f.description] == []


def test_help_lists_settings_and_needs_no_torch() -> None:
    code = (
        "import sys, runpy\n"
        "sys.argv = ['trainer', '--help']\n"
        "try:\n    runpy.run_module('trainer', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "--spec" in done.stdout
    assert "winner_mask: Chess: share of games whose winner" in " ".join(done.stdout.split())
