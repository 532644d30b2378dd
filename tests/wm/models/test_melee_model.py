from __future__ import annotations

import pytest
import torch

from tests.support.melee_records import made_records
from wm.models.config import Mamba2Config, MLPConfig
from wm.models.melee_features import decode
from wm.models.melee_heads import OUTPUTS, continuous, prior, read, speed
from wm.models.melee_model import WorldModel

SMALL = [
    MLPConfig(context=4, hidden=16, trunk=8, dropout=0),
    Mamba2Config(context=4, d_model=16, layers=2, d_state=8, headdim=8, dropout=0),
    Mamba2Config(
        context=4, d_model=16, layers=1, d_state=8, headdim=8, dropout=0, state_age_embed=False
    ),
]
small = pytest.mark.parametrize("config", SMALL, ids=lambda c: f"{c.kind}-{c.state_age_embed}")


def trained(config: MLPConfig | Mamba2Config) -> WorldModel:
    """A model with fitted units whose heads say something."""
    torch.manual_seed(0)
    model = WorldModel(config).eval()
    model.scales.fit(decode(made_records()))
    torch.nn.init.normal_(model.heads.weight, std=0.3)
    return model


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (MLPConfig(), 1_433_602),
        (MLPConfig(state_age_embed=False), 1_360_722),
        (Mamba2Config(d_model=256, layers=2), 1_206_578),
        (Mamba2Config(), 4_282_386),
        (Mamba2Config(d_model=512, layers=6), 10_592_546),
        (Mamba2Config(d_model=768, layers=4), 15_660_834),
        (Mamba2Config(d_model=512, layers=9), 15_554_354),
        (Mamba2Config(headdim=32), 4_300_962),
        (Mamba2Config(headdim=96), 4_276_194),
    ],
)
def test_parameter_counts(config: MLPConfig | Mamba2Config, parameters: int) -> None:
    with torch.device("meta"):
        model = WorldModel(config)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_hits_have_an_output_for_each_player() -> None:
    model = trained(MLPConfig(context=4, hidden=16, trunk=8, percent="hit"))
    records = made_records()[:2, :12]
    assert model(records).shape == (2, 8, OUTPUTS + 2)
    last = decode(records)[:, 3:-1]
    assert read(model(records), last, model.scales).hit is not None


@small
def test_every_position_with_context_predicts(config: MLPConfig | Mamba2Config) -> None:
    model = trained(config)
    records = made_records()[:2, :12]
    positions = 8 if config.kind == "mlp" else 11
    assert model(records).shape == (2, positions, OUTPUTS)
    assert model(records, window=True).shape == (2, 1, OUTPUTS)


@small
def test_window_is_the_last_position(config: MLPConfig | Mamba2Config) -> None:
    model = trained(config)
    records = made_records()[:2, 20:32]
    torch.testing.assert_close(model(records, window=True), model(records)[:, -1:])


@small
def test_prediction_sees_the_next_controllers_and_nothing_else_of_the_future(
    config: MLPConfig | Mamba2Config,
) -> None:
    model = trained(config)
    records = made_records()[:2, :12].clone()
    before = model(records)

    records[:, -1, :24] = 7  # position and percent of the frame to predict
    assert torch.equal(model(records), before)

    records[:, -1, 24 + 16 : 24 + 26] = 60  # sticks of that frame, player 0
    after = model(records)
    assert torch.equal(after[:, :-1], before[:, :-1])
    assert not torch.equal(after[:, -1], before[:, -1])


@small
def test_steps_are_the_sequence(config: MLPConfig | Mamba2Config) -> None:
    model = trained(config)
    frames = decode(made_records()[:2, 40:52])
    whole = model(made_records()[:2, 40:52])[:, -8:]
    memory = model.begin(frames[:, :4])
    for t in range(3, 11):
        outputs, memory = model.step(frames[:, t], frames.controller[:, t + 1], memory)
        torch.testing.assert_close(outputs, whole[:, t - 3], rtol=1e-4, atol=1e-5)


def test_context_of_one_frame_can_begin_a_rollout() -> None:
    model = trained(Mamba2Config(context=1, d_model=16, layers=1, d_state=8, headdim=8))
    frames = decode(made_records()[:2, 40:42])
    outputs, _ = model.step(frames[:, 0], frames.controller[:, 1], model.begin(frames[:, :1]))
    torch.testing.assert_close(outputs, model(made_records()[:2, 40:42])[:, 0])


@small
def test_untrained_model_predicts_persistence(config: MLPConfig | Mamba2Config) -> None:
    model = WorldModel(config).eval()
    model.scales.fit(decode(made_records()))
    records = made_records()[:, 60:70]
    frames = decode(records)
    last = frames[:, -2]
    heads = read(model(records)[:, -1], last, model.scales)
    assert torch.equal(heads.categories[0].argmax(-1), last.action)
    assert torch.equal(heads.binary > 0, last.binary > 0.5)
    assert torch.equal(heads.continuous[..., 4:9], last.velocity)
    moving = last.dynamics[..., 0] == 0
    glided = last.position + speed(last.velocity, last.on_ground)
    torch.testing.assert_close(heads.continuous[..., 1:3][moving], glided[moving])


def test_untrained_model_gives_staying_its_share_of_the_training_frames() -> None:
    model = WorldModel(SMALL[0]).eval()
    frames = decode(made_records())
    model.scales.fit(frames)
    heads = read(torch.zeros(8, OUTPUTS), frames[:, 100], model.scales)
    held = heads.categories[0].softmax(-1).gather(-1, frames.action[:, 100].unsqueeze(-1))
    share = (frames.action[:, 1:] == frames.action[:, :-1]).float().mean()
    torch.testing.assert_close(held, share.expand_as(held), atol=1e-3, rtol=0)


def test_residuals_have_unit_variance() -> None:
    model = WorldModel(SMALL[0])
    frames = decode(made_records())
    model.scales.fit(frames)
    left = continuous(frames[:, 1:]) - prior(frames[:, :-1])
    rms = (left / model.scales.residual).square().mean((0, 1, 2)).sqrt()
    velocity = slice(4, 9)
    assert 0.9 < rms[velocity].max() <= 1.001


def test_units_are_saved_with_the_weights_but_are_no_parameters() -> None:
    names = set(WorldModel(SMALL[0]).state_dict())
    parameters = {name for name, _ in WorldModel(SMALL[0]).named_parameters()}
    units = {f"scales.{n}" for n in ("mean", "std", "residual", "category_hold", "rebirth")}
    assert units <= names
    assert not units & parameters


def test_units_of_a_column_that_never_changes_stay_finite() -> None:
    model = WorldModel(SMALL[0])
    model.scales.fit(decode(torch.zeros(2, 6, 104, dtype=torch.uint8)))
    assert all(buffer.isfinite().all() for buffer in model.scales.buffers())
    assert (model.scales.std > 0).all()
    assert (model.scales.residual > 0).all()


def test_place_of_rebirth_is_learned_by_stage() -> None:
    frames = decode(made_records(games=24, frames=1500, seed=2))
    model = WorldModel(SMALL[0])
    model.scales.fit(frames)
    assert (frames.action == 12).any()
    where = model.scales.rebirth[frames.stage[0, 0]]
    torch.testing.assert_close(where, torch.tensor([[-20.0, 70.0], [20.0, 70.0]]), atol=2, rtol=0)
