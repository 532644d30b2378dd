from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.melee_records import made_records
from wm.games.melee.options import MeleeOptions
from wm.games.melee.schema import FRAME, column
from wm.games.melee.slp import read_slp
from wm.models.melee_baselines import (
    constant_velocity,
    copy_last,
    horizon_errors,
    respawned,
    skill,
)
from wm.models.melee_features import Frames, decode


def gliding(frames: int) -> Frames:
    """One game in which player 0 glides by (1, -0.5) a frame and player 1 stands."""
    records = np.zeros((1, frames), FRAME)
    steps = np.arange(frames)
    column(records, "x")[0, :, 0] = 10 + steps
    column(records, "y")[0, :, 0] = 50 - 0.5 * steps
    column(records, "self_x_air")[..., 0] = 0.75
    column(records, "knockback_x")[..., 0] = 0.25
    column(records, "self_y")[..., 0] = -0.5
    column(records, "self_y")[..., 1] = -0.1
    column(records, "flags")[..., 1] = 0b10
    column(records, "percent")[0, :, 1] = 2 * steps
    column(records, "action")[0, :, 0] = steps
    return decode(torch.from_numpy(records.view(np.uint8).reshape(1, frames, 104)))


@pytest.mark.parametrize("source", ["recorded", "last_delta"])
def test_constant_velocity_is_exact_for_what_glides(source: str) -> None:
    frames = gliding(20)
    guess = constant_velocity(frames[:, :5], 15, source)
    errors = horizon_errors(guess, frames[:, 5:], horizons=(1, 10, 15))
    assert errors["position"].tolist() == [[0, 0, 0]]


def test_copy_errs_by_the_way_gone() -> None:
    frames = gliding(20)
    errors = horizon_errors(copy_last(frames[:, :5], 15), frames[:, 5:], horizons=(1, 10))
    assert errors["position"].tolist() == [[1.5 / 4, 15 / 4]]
    assert errors["percent"].tolist() == [[1, 10]]
    assert errors["action"].tolist() == [[0.5, 0.5]]
    assert errors["shield"].tolist() == errors["velocity"].tolist() == [[0, 0]]


def test_errors_are_per_start_and_horizon() -> None:
    frames = decode(made_records())
    errors = horizon_errors(copy_last(frames[:, :10], 60), frames[:, 10:70])
    assert {e.shape for e in errors.values()} == {(8, 6)}


def test_respawn_is_seen_from_its_frame_on() -> None:
    records = np.zeros((2, 12), FRAME)
    column(records, "y")[1, 7:, 0] = 150
    frames = decode(torch.from_numpy(records.view(np.uint8).reshape(2, 12, 104)))
    jumped = respawned(frames[:, 1], frames[:, 2:], horizons=(1, 5, 6, 10))
    assert jumped.tolist() == [[False] * 4, [False, False, True, True]]


def test_skill_is_measured_against_the_better_baseline() -> None:
    model = torch.tensor([[1.0, 0], [3, 0]])
    copying, gliding_on = torch.tensor([[8.0, 0]]), torch.tensor([[4.0, 0]])
    assert skill(model, copying, gliding_on).tolist() == [0.5, 0]
    assert skill(model + 1, copying, gliding_on).tolist() == [0.25, -torch.inf]


def test_baselines_of_a_real_ranked_replay(shared_data: Path) -> None:
    """Copy 0.643 and last delta 0.231 one frame ahead, as measured on the same replay before."""
    game = read_slp(
        shared_data / "slp" / "slippiai_ranked_diamond_v3.16.slp", options=MeleeOptions()
    )
    frames = game.rows["frames"]
    records = torch.from_numpy(frames.view(np.uint8).reshape(-1, 104).copy())
    windows = decode(records.unfold(0, 3, 1).transpose(1, 2))
    past, truth = windows[:, :2], windows[:, 2:]

    def position(guess: Frames) -> float:
        return horizon_errors(guess, truth, horizons=(1,))["position"].mean().item()

    assert position(copy_last(past, 1)) == pytest.approx(0.643, abs=0.002)
    assert position(constant_velocity(past, 1, "last_delta")) == pytest.approx(0.231, abs=0.002)
    assert position(constant_velocity(past, 1)) < 0.231
