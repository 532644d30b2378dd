from __future__ import annotations

from typing import Any

import pytest

from wm.models.build import build, count_parameters
from wm.models.config import LSTMConfig, Mamba2Config, MLPConfig, ModelConfig
from wm.models.size import flops_per_target, parameters

GOLDEN: list[tuple[ModelConfig, int]] = [
    (MLPConfig(hidden=512, trunk=256, context=10), 1_433_602),
    (MLPConfig(hidden=512, trunk=256, context=10, state_age_embed=False), 1_360_722),
    (Mamba2Config(d_model=256, layers=2), 1_206_578),
    (Mamba2Config(d_model=384, layers=4), 4_282_386),
    (Mamba2Config(d_model=512, layers=6), 10_592_546),
    (Mamba2Config(d_model=768, layers=4), 15_660_834),
    (Mamba2Config(d_model=512, layers=9), 15_554_354),
    (Mamba2Config(d_model=384, layers=4, headdim=32), 4_300_962),
    (LSTMConfig(embed=256, hidden=512, layers=2), 5_232_610),
    (LSTMConfig(embed=384, hidden=768, layers=4), 20_030_178),
    (LSTMConfig(embed=512, hidden=1024, layers=4), 34_557_410),
    (LSTMConfig(embed=640, hidden=1280, layers=5), 66_134_242),
]
"""Measured or calculated sizes of the prototypes' shapes (facts/melee.md §4, chess.md §3)."""


@pytest.mark.parametrize(("config", "count"), GOLDEN)
def test_sizes_are_those_that_were_measured(config: ModelConfig, count: int) -> None:
    assert parameters(config) == count


@pytest.mark.parametrize(
    ("config", "game"),
    [
        (MLPConfig(hidden=24, trunk=16, context=3, state_age_embed=False), "melee"),
        (MLPConfig(hidden=24, trunk=16, context=3, percent="hit"), "melee"),
        (Mamba2Config(d_model=32, layers=1, headdim=16, percent="hit"), "melee"),
        (Mamba2Config(d_model=64, layers=3, d_state=16, headdim=32, expand=2, d_conv=3), "melee"),
        (LSTMConfig(embed=16, hidden=24, layers=3), "chess"),
        (LSTMConfig(embed=16, hidden=24, layers=3, board_head=True), "chess"),
        (LSTMConfig(embed=16, hidden=24, layers=3, factored=True), "chess"),
    ],
)
def test_sizes_are_those_of_the_networks_themselves(config: Any, game: str) -> None:
    assert parameters(config) == count_parameters(build(config, game))


def test_a_frame_costs_what_first_principles_say() -> None:
    """29 MFLOP a frame in training, with what attention to state adds (facts/training.md §2)."""
    assert flops_per_target(Mamba2Config(d_model=384, layers=4)) == pytest.approx(25.7e6, rel=0.01)
