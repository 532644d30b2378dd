"""From a configuration or a published card to a module, and from a module to bytes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from wm.artifacts.model import ModelCard, load_card, read_weights
from wm.errors import BadConfig, BadData
from wm.models.config import LSTMConfig, ModelConfig
from wm.models.lstm import NextMoveLSTM
from wm.store import Store

Shapes = dict[str, tuple[int, ...]]

_CONFIG: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)


def build(config: ModelConfig, game: str) -> nn.Module:
    """The freshly initialised model of a configuration; :class:`BadConfig` if not of ``game``."""
    if isinstance(config, LSTMConfig):
        if game != "chess":
            raise BadConfig(f"model kind lstm cannot play {game}", hint="use mlp or mamba2")
        return NextMoveLSTM(config)
    if game != "melee":
        raise BadConfig(f"model kind {config.kind} cannot play {game}", hint="use lstm")
    from wm.models.melee_model import WorldModel  # only Melee needs its columns and tables

    return WorldModel(config)


def load_model(store: Store, model: str | ModelCard) -> nn.Module:
    """A published model by key or card, in eval mode, every weight in its place.

    Errors: those of the store; :class:`BadData` where the card's configuration is none, or the
    weights do not fit it.
    """
    card = load_card(store, model) if isinstance(model, str) else model
    try:
        # What it was trained with need not be where it is loaded.
        shape = {name: value for name, value in card.config.items() if name != "backend"}
        config = _CONFIG.validate_python(shape)
    except ValidationError as error:
        raise BadData(
            f"{card.key} has a configuration that no model has: {error.errors()[0]['msg']}",
            hint="publish the model again",
        ) from error
    module = build(config, card.game)
    weights = {name: torch.from_numpy(w) for name, w in read_weights(store, card).items()}
    _check_shapes(card, _shapes(weights), _shapes(module.state_dict()))
    module.load_state_dict(weights)
    return module.eval()


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def weights_bytes(module: nn.Module) -> bytes:
    """A module's state as safetensors: the same weights give the same bytes."""
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()
    }
    return save(dict(sorted(state.items())))


def _check_shapes(card: ModelCard, found: Shapes, wanted: Shapes) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise BadData(
                f"the weights of {card.key} do not fit its configuration: {name} has shape "
                f"{found.get(name, 'missing')} instead of {wanted.get(name, 'none')}",
                hint="train and publish it again",
            )


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
