"""Models from configurations and cards, and back to bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from wm.artifacts.model import ModelCard, publish_model
from wm.errors import BadConfig, BadData
from wm.models.build import build, count_parameters, load_model, weights_bytes
from wm.models.config import LSTMConfig, Mamba2Config, MLPConfig
from wm.models.lstm import NextMoveLSTM
from wm.store import Store, open_store

LSTM = LSTMConfig(embed=4, hidden=6, layers=1)
MAMBA = Mamba2Config(d_model=16, layers=1, d_state=8, headdim=8)
MLP = MLPConfig(hidden=8, trunk=8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (Mamba2Config(), 4_282_386),
        (Mamba2Config(headdim=32), 4_300_962),
        (Mamba2Config(headdim=96), 4_276_194),
        (Mamba2Config(d_model=256, layers=2), 1_206_578),
        (Mamba2Config(d_model=512, layers=6), 10_592_546),
        (MLPConfig(), 1_433_602),
        (MLPConfig(state_age_embed=False), 1_360_722),
    ],
)
def test_world_models_have_the_known_sizes(
    config: Mamba2Config | MLPConfig, parameters: int
) -> None:
    assert count_parameters(build(config, "melee")) == parameters


@pytest.mark.parametrize(("config", "game"), [(LSTM, "melee"), (MLP, "chess"), (MAMBA, "chess")])
def test_a_model_of_the_other_game_is_refused(
    config: LSTMConfig | MLPConfig | Mamba2Config, game: str
) -> None:
    with pytest.raises(BadConfig, match=f"{config.kind} cannot play {game}"):
        build(config, game)


@pytest.mark.parametrize(("config", "game"), [(LSTM, "chess"), (MLP, "melee"), (MAMBA, "melee")])
def test_a_published_model_comes_back_the_same(
    store: Store, config: LSTMConfig | MLPConfig | Mamba2Config, game: str
) -> None:
    model = build(config, game)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    card = _publish(store, model, config, game)
    for loaded in (load_model(store, card), load_model(store, card.key)):
        assert not loaded.training
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name
        assert weights_bytes(loaded) == weights_bytes(model)


def test_loaded_weights_can_be_trained_on(store: Store) -> None:
    loaded = load_model(store, _publish(store, NextMoveLSTM(LSTM), LSTM, "chess"))
    before = weights_bytes(loaded)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.add_(1)
    assert weights_bytes(loaded) != before


def test_weights_that_do_not_fit_are_refused_by_name(store: Store) -> None:
    deeper = LSTMConfig(embed=4, hidden=6, layers=2)
    card = _publish(store, NextMoveLSTM(LSTM), deeper, "chess")
    with pytest.raises(BadData, match=rf"{card.key} do not fit .*: lstm.bias_hh_l1 .* missing"):
        load_model(store, card)
    wider = LSTMConfig(embed=5, hidden=6, layers=1)
    card = _publish(store, NextMoveLSTM(LSTM), wider, "chess")
    with pytest.raises(BadData, match=r"embedding.weight has shape \(1970, 4\) .* \(1970, 5\)"):
        load_model(store, card.model_copy(update={"config": wider.model_dump()}))


def test_a_configuration_of_no_model_is_refused(store: Store) -> None:
    card = _publish(store, NextMoveLSTM(LSTM), LSTM, "chess")
    with pytest.raises(BadData, match=rf"{card.key} has a configuration that no model has"):
        load_model(store, card.model_copy(update={"config": {"kind": "lstm", "width": 3}}))


def test_changed_weights_are_refused(store: Store) -> None:
    card = _publish(store, NextMoveLSTM(LSTM), LSTM, "chess")
    data = bytearray(store.get(card.weights.key))
    data[-1] ^= 1
    store.put(card.weights.key, bytes(data))
    with pytest.raises(BadData, match=r"weights\.safetensors"):
        load_model(store, card)


def _publish(
    store: Store, model: nn.Module, config: LSTMConfig | MLPConfig | Mamba2Config, game: str
) -> ModelCard:
    return publish_model(
        store,
        weights_bytes(model),
        name="small",
        game=game,
        config=config.model_dump(),
        parameters=count_parameters(model),
        data="datasets/none/0",
        data_fingerprint="0",
        run="run",
        stage="train",
        step=0,
        metrics={},
        training={},
    )
