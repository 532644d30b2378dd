"""Shapes of the models, without torch, so that plans can be checked where torch is not."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LSTMConfig(BaseModel):
    """Next-move LSTM of the chess policy."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Literal["lstm"] = "lstm"
    embed: int = Field(256, ge=1)
    """Width of a move's embedding."""
    hidden: int = Field(512, ge=1)
    """Width of the LSTM's state."""
    layers: int = Field(2, ge=1)
    """LSTM layers on top of each other."""
    dropout: float = Field(0.15, ge=0, lt=1)
    """Share of numbers set to 0 in training: after the embedding, between layers and before the
    head."""
    factored: bool = False
    """Embed and score a move by the sum of a vector of its own and one each of its origin, target
    and promotion, so that rare moves learn from those that share a square with them. Learns several
    times as fast from the same games; without it the shape is the prototype's."""
    board_head: bool = False
    """A second head that tells the board from the LSTM's output: a second thing to learn
    (board_weight), and a probe of what the LSTM knows of the pieces. Play does not use it. On
    100,000 games it did not make a better policy (docs/records)."""


class MLPConfig(BaseModel):
    """Frame-stack MLP of the Melee world model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Literal["mlp"] = "mlp"
    context: int = Field(10, ge=1)
    """Frames seen before each prediction (K)."""
    hidden: int = Field(512, ge=1)
    """Width of the first layer."""
    trunk: int = Field(256, ge=1)
    """Width of the second layer, which the heads read."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of numbers set to 0 in training."""
    state_age_embed: bool = True
    """Embed state_age as a category (196-wide frame) instead of a number (182-wide)."""
    percent: Literal["residual", "hit"] = "residual"
    """Predict percent as one number, or whether it rises and by how much if so: one more output per
    player. residual is the prototype's layout."""


class Mamba2Config(BaseModel):
    """Mamba-2 world model; parameter names are those of mamba-ssm."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kind: Literal["mamba2"] = "mamba2"
    context: int = Field(10, ge=1)
    """Frames of warm-up before a rollout, and window length in window mode (K)."""
    d_model: int = Field(384, ge=1)
    """Width between blocks."""
    layers: int = Field(4, ge=1)
    """Mamba-2 blocks."""
    d_state: int = Field(64, ge=1)
    """Numbers of state per channel (N)."""
    headdim: int = Field(64, ge=1)
    """Channels of a head (P); divides expand * d_model."""
    d_conv: int = Field(4, ge=2)
    """Frames that the causal convolution spans."""
    expand: int = Field(2, ge=1)
    """Width within a block, in units of d_model."""
    chunk: int = Field(64, ge=1)
    """Positions per chunk; sequences up to this length use the one-chunk form."""
    backend: Literal["torch", "kernel", "auto"] = "torch"
    """What computes the state-space sum of a sequence. torch: plain torch, which runs anywhere and
    can be compiled. kernel: mamba_ssm's Triton kernel, on CUDA alone. auto: both are timed once for
    each shape and the faster one is taken (on a CPU always torch), so two runs may round
    differently. No part of the weights: a model trained with one can go on with another, and a
    published model is loaded with torch."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of numbers set to 0 in training, before the first block."""
    state_age_embed: bool = True
    """Embed state_age as a category (196-wide frame) instead of a number (182-wide)."""
    percent: Literal["residual", "hit"] = "residual"
    """Predict percent as one number, or whether it rises and by how much if so: one more output per
    player. residual is the prototype's layout."""

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        inner = self.expand * self.d_model
        if inner % self.headdim:
            raise ValueError(
                f"headdim {self.headdim} does not divide expand * d_model = {inner}; "
                f"choose one that does, such as {math.gcd(inner, 64)}"
            )
        return self


ModelConfig = Annotated[LSTMConfig | MLPConfig | Mamba2Config, Field(discriminator="kind")]
