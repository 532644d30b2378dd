from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from tests.support.melee_records import made_records
from wm.models.config import Mamba2Config, MLPConfig
from wm.models.melee_features import CATEGORIES, Frames, decode
from wm.models.melee_heads import OUTPUTS, Scales
from wm.models.melee_model import WorldModel
from wm.models.melee_rollout import advance, rollout

CONFIGS = [
    MLPConfig(context=4, hidden=16, trunk=8),
    Mamba2Config(context=4, d_model=16, layers=2, d_state=8, headdim=8),
]
both = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)


def wild(config: MLPConfig | Mamba2Config, strength: float) -> WorldModel:
    torch.manual_seed(0)
    model = WorldModel(config).eval()
    model.scales.fit(decode(made_records()))
    torch.nn.init.normal_(model.heads.weight, std=strength)
    return model


@both
def test_first_frame_is_the_models_prediction(config: MLPConfig | Mamba2Config) -> None:
    model, records = wild(config, 0.3), made_records()[:3, 30:45]
    predicted = rollout(model, records[:, :6], records[:, 6:])
    with torch.no_grad():
        outputs = model(records[:, :7], window=True)[:, 0]
    frames = decode(records)
    expected = advance(frames[:, 5], outputs, model.scales, frames[:, 6])
    torch.testing.assert_close(predicted[:, 0].core, expected.core, rtol=1e-4, atol=1e-4)
    assert torch.equal(predicted[:, 0].action, expected.action)
    assert predicted.core.shape == (3, 9, 2, 4)


@both
def test_only_controllers_characters_and_stage_of_the_future_are_read(
    config: MLPConfig | Mamba2Config,
) -> None:
    model, records = wild(config, 0.3), made_records()[:3, 30:50]
    before = rollout(model, records[:, :6], records[:, 6:])
    blind = records[:, 6:].clone()
    blind[..., :40] = 0  # position to hitlag; sticks come after
    blind[..., 76:84] = 0
    after = rollout(model, records[:, :6], blind)
    for f in fields(Frames):
        if f.name not in ("controller", "character", "stage"):
            assert torch.equal(getattr(before, f.name), getattr(after, f.name)), f.name


@both
def test_rollouts_of_a_mad_model_stay_finite_and_in_range(
    config: MLPConfig | Mamba2Config,
) -> None:
    model, records = wild(config, 1e4), made_records()
    frames = rollout(model, records[:, :4], records[:, 4:84])
    assert all(getattr(frames, f.name).isfinite().all() for f in fields(Frames))
    assert frames.position.abs().max() <= 500
    assert frames.core[..., 0].min() >= 0
    assert 0 <= frames.core[..., 3].min() <= frames.core[..., 3].max() <= 60
    for i, size in enumerate(CATEGORIES.values()):
        assert 0 <= frames.categories[..., i].min() <= frames.categories[..., i].max() < size
    stocks = torch.cat((decode(records[:, 3:4]).dynamics, frames.dynamics), 1)[..., 1]
    assert (stocks.diff(dim=1) <= 0).all()
    assert stocks.min() >= 0


def one_step(last: Frames, outputs: torch.Tensor) -> Frames:
    scales = Scales(state_age_embed=True)
    scales.category_hold.fill_(10)
    scales.rebirth[:] = torch.tensor([[-20.0, 70.0], [20.0, 70.0]])
    return advance(last, outputs, scales, last)


def standing() -> Frames:
    """Player 0 hits, in hitlag; both at some percent."""
    frames = decode(made_records()[:1, 100])
    frames.categories[..., 0] = 14
    frames.core[..., 0] = 30
    frames.dynamics[0] = torch.tensor([[3.0, 4, 0], [0, 2, 0]])
    frames.state_age[:] = 8
    frames.velocity[:] = 0.5
    return frames


def test_nothing_moves_or_ages_in_hitlag_but_hitlag() -> None:
    last = standing()
    after = one_step(last, torch.zeros(1, OUTPUTS))
    assert after.dynamics[0, :, 0].tolist() == [2, 0]
    assert after.state_age.tolist() == [[8, 9]]
    assert torch.equal(after.position[0, 0], last.position[0, 0])
    assert after.position[0, 1, 0] == last.position[0, 1, 0] + 1  # self 0.5 and knockback 0.5


def test_percent_rises_by_hits_only() -> None:
    outputs = torch.zeros(1, OUTPUTS)
    outputs[0, 0], outputs[0, 4] = 0.3, 6.5
    assert one_step(standing(), outputs).core[0, :, 0].tolist() == [30, 36.5]
    outputs[0, 0] = -6
    assert one_step(standing(), outputs).core[0, 0, 0] == 30


def test_a_death_costs_one_stock_once_and_a_rebirth_clears_percent() -> None:
    dead, back = torch.zeros(1, OUTPUTS), torch.zeros(1, OUTPUTS)
    dead[0, 30 + 510 + 1] = 20  # player 1 enters action 1
    back[0, 30 + 510 + 12] = 20
    after = one_step(standing(), dead)
    assert after.dynamics[0, :, 1].tolist() == [4, 1]
    assert after.core[0, 1, 0] == 30
    assert after.state_age[0, 1] == 0
    still = one_step(after, dead)
    assert still.dynamics[0, :, 1].tolist() == [4, 1]
    alive = one_step(still, back)
    assert alive.core[0, 1].tolist()[:3] == [0, 20, 70]
    assert alive.core[0, 0, 0] == 30
    assert one_step(alive, back).core[0, 1].tolist()[1:3] != [20, 70]


def test_where_hits_are_told_apart_percent_rises_if_one_is_more_likely_than_not() -> None:
    outputs = torch.zeros(1, OUTPUTS + 2)
    outputs[0, 0], outputs[0, 4] = 12, 12
    outputs[0, -2:] = torch.tensor([3.9, 4.1])  # 4 is even odds
    assert one_step(standing(), outputs).core[0, :, 0].tolist() == [30, 42]
