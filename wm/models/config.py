"""Shapes of the models, without torch, so that plans can be checked where torch is not."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LSTMConfig(BaseModel):
    """Next-move LSTM of the chess policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["lstm"] = "lstm"
    embed: int = Field(256, ge=1)
    """Width of a move's embedding."""
    hidden: int = Field(512, ge=1)
    """Width of the LSTM's state."""
    layers: int = Field(2, ge=1)
    dropout: float = Field(0.15, ge=0, lt=1)
    """After the embedding, between layers and before the head."""


class MLPConfig(BaseModel):
    """Frame-stack MLP of the Melee world model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["mlp"] = "mlp"
    context: int = Field(10, ge=1)
    """Frames seen before each prediction (K)."""
    hidden: int = Field(512, ge=1)
    trunk: int = Field(256, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    state_age_embed: bool = True
    """Embed state_age as a category (196-wide frame) instead of a number (182-wide)."""


class Mamba2Config(BaseModel):
    """Mamba-2 world model; parameter names are those of mamba-ssm."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["mamba2"] = "mamba2"
    context: int = Field(10, ge=1)
    """Frames of warm-up before a rollout, and window length in window mode (K)."""
    d_model: int = Field(384, ge=1)
    layers: int = Field(4, ge=1)
    d_state: int = Field(64, ge=1)
    headdim: int = Field(64, ge=1)
    d_conv: int = Field(4, ge=2)
    expand: int = Field(2, ge=1)
    chunk: int = Field(64, ge=1)
    """Positions per chunk; sequences up to this length use the one-chunk form."""
    dropout: float = Field(0.1, ge=0, lt=1)
    state_age_embed: bool = True
    """Embed state_age as a category (196-wide frame) instead of a number (182-wide)."""

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
