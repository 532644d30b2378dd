"""How large a network is, from its shape alone: without torch, so that plans can be priced.

Formulas and golden values: the project's facts sheets (melee §4, chess §3); the tests compare them
with the networks themselves.
"""

from __future__ import annotations

from wm.games.chess.vocabulary import SIZE
from wm.models.config import LSTMConfig, Mamba2Config, MLPConfig, ModelConfig

_FRAME = {True: 196, False: 182}
"""Width of a frame's vector, with state_age embedded and without."""
_MELEE_EMBEDDINGS = {True: 15_080, False: 13_880}
_MELEE_OUTPUTS = 1_050
_CONTROLLERS = 26
"""Numbers that say what both players press."""
_FACTS = 20
"""Width of what a policy is told of winner, phase and side."""
_PARTS = 64 + 64 + 4
"""Origins, targets and promotions of moves."""
_BOARD = 64 * 13
"""Outputs of a policy's board head: the piece on each square."""


def parameters(config: ModelConfig) -> int:
    """Trainable numbers of a network of this shape."""
    match config:
        case LSTMConfig():
            return _lstm(config)
        case MLPConfig():
            frame = _FRAME[config.state_age_embed]
            inputs = config.context * frame + _CONTROLLERS
            hidden, trunk = config.hidden, config.trunk
            layers = (inputs + 1) * hidden + (hidden + 1) * trunk + (trunk + 1) * _outputs(config)
            return layers + _MELEE_EMBEDDINGS[config.state_age_embed]
        case Mamba2Config():
            return _mamba2(config)


def flops_per_target(config: ModelConfig) -> float:
    """Floating-point operations of training for one supervised position, every position of a
    sequence being one: forward and backward pass are three forward passes of two per weight."""
    tables = 0  # looked up, not multiplied
    if isinstance(config, LSTMConfig):
        tables = SIZE * config.embed + _move_parts(config)
    return 6.0 * (parameters(config) - tables)


def _lstm(c: LSTMConfig) -> int:
    layers = sum(
        4 * c.hidden * ((c.embed if layer == 0 else c.hidden) + c.hidden) + 8 * c.hidden
        for layer in range(c.layers)
    )
    board = (c.hidden + 1) * _BOARD if c.board_head else 0
    moves = SIZE * c.embed + (c.hidden + _FACTS) * SIZE + SIZE + _move_parts(c)
    return layers + moves + 72 + board


def _move_parts(c: LSTMConfig) -> int:
    return _PARTS * (c.embed + c.hidden + _FACTS) if c.factored else 0


def _mamba2(c: Mamba2Config) -> int:
    d, inner, n = c.d_model, c.expand * c.d_model, c.d_state
    heads = inner // c.headdim
    block = (2 * inner + 2 * n + heads) * d + (c.d_conv + 1) * (inner + 2 * n)
    block += 3 * heads + inner + inner * d + d
    frame = _FRAME[c.state_age_embed] + 1
    outside = frame * d + d + _outputs(c) * (d + 1) + (_CONTROLLERS + 1) * d
    return c.layers * block + outside + _MELEE_EMBEDDINGS[c.state_age_embed]


def _outputs(c: MLPConfig | Mamba2Config) -> int:
    return _MELEE_OUTPUTS + (2 if c.percent == "hit" else 0)
