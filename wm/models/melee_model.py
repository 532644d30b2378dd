"""World model of Melee: frames so far and the controllers of the next -> the next frame.

Shapes and parameter counts are the prototype's; what the outputs mean is :mod:`melee_heads`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wm.models.config import Mamba2Config, MLPConfig
from wm.models.mamba2 import Mamba2, RMSNorm
from wm.models.melee_features import CONTROLLER, FrameEmbedding, Frames, decode
from wm.models.melee_heads import HIT_OUTPUTS, OUTPUTS, Scales


class WorldModel(nn.Module):
    """Predicts frame t+1 from the frames up to t and the controllers of frame t+1."""

    def __init__(self, config: MLPConfig | Mamba2Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = FrameEmbedding(config.state_age_embed)
        self.scales = Scales(config.state_age_embed)
        width = self.embedding.width
        self.backbone = (
            FrameStack(config, width)
            if isinstance(config, MLPConfig)
            else FrameSequence(config, width)
        )
        hits = HIT_OUTPUTS if config.percent == "hit" else 0
        self.heads = nn.Linear(self.backbone.width, OUTPUTS + hits)
        # An untrained model predicts its prior, not noise around it.
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    @property
    def context(self) -> int:
        """Frames that a rollout should be given to start from."""
        return self.config.context

    def forward(self, records: Tensor, window: bool = False) -> Tensor:
        """uint8 [B, T, 104] -> [B, P, 1050]: predictions of the last P frames of ``records``.

        Every position that has its context predicts: P = T - 1 for Mamba-2, T - K for the MLP.
        With ``window`` only the last frame is predicted, P = 1.
        """
        frames = decode(records)
        vectors = self.vectors(frames)[:, :-1]
        controllers = frames.controller[:, 1:].flatten(-2)
        outputs: Tensor = self.heads(self.backbone(vectors, controllers, window))
        return outputs

    def vectors(self, frames: Frames) -> Tensor:
        """Frame vectors of [...] frames, [..., width]."""
        vectors: Tensor = self.embedding(frames, self.scales.mean, self.scales.std)
        return vectors

    def begin(self, frames: Frames) -> Any:
        """Memory of all but the newest of [B, T] frames."""
        vectors = self.vectors(frames)[:, :-1]
        return self.backbone.begin(vectors, frames.controller[:, 1:].flatten(-2))

    def step(self, frame: Frames, controller: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """The newest frame [B] and the next controllers [B, 2, 13] -> outputs [B, 1050], memory."""
        hidden, memory = self.backbone.step(self.vectors(frame), controller.flatten(-2), memory)
        return self.heads(hidden), memory


class FrameStack(nn.Module):
    """MLP over K concatenated frame vectors and the next controllers."""

    def __init__(self, config: MLPConfig, width: int) -> None:
        super().__init__()
        self.context = config.context
        self.width = config.trunk
        self.trunk = nn.Sequential(
            nn.Linear(config.context * width + 2 * CONTROLLER, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.trunk),
            nn.ReLU(),
            nn.Dropout(config.dropout),
        )

    def forward(self, vectors: Tensor, controllers: Tensor, window: bool) -> Tensor:
        """[B, L, width], [B, L, 26] -> [B, L - K + 1 or 1, trunk]."""
        if window:
            vectors = vectors[:, -self.context :]
        windows = vectors.unfold(1, self.context, 1).transpose(-1, -2).flatten(-2)
        hidden: Tensor = self.trunk(torch.cat((windows, controllers[:, -windows.shape[1] :]), -1))
        return hidden

    def begin(self, vectors: Tensor, controllers: Tensor) -> Tensor:
        """The newest K - 1 of at least as many vectors."""
        return vectors[:, vectors.shape[1] - self.context + 1 :]

    def step(self, vector: Tensor, controller: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        stacked = torch.cat((memory, vector.unsqueeze(1)), 1)
        return self.trunk(torch.cat((stacked.flatten(1), controller), -1)), stacked[:, 1:]


class FrameSequence(nn.Module):
    """Mamba-2 over frame vectors, each joined by the controllers of the frame to predict.

    The prototype adds the controllers after the last block, where they meet the state only in a
    linear head; here they enter before the first, so that a button can mean another thing in the
    air. The parameter count is the same.
    """

    def __init__(self, config: Mamba2Config, width: int) -> None:
        super().__init__()
        self.width = config.d_model
        self.frame = nn.Linear(width, config.d_model)
        self.controller = nn.Linear(2 * CONTROLLER, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = Mamba2(config)
        self.norm = RMSNorm(config.d_model)

    def forward(self, vectors: Tensor, controllers: Tensor, window: bool) -> Tensor:
        """[B, L, width], [B, L, 26] -> [B, L or 1, d_model]."""
        hidden, _ = self.blocks(self._join(vectors, controllers))
        normed: Tensor = self.norm(hidden[:, -1:] if window else hidden)
        return normed

    def begin(self, vectors: Tensor, controllers: Tensor) -> Any:
        """State of the blocks after the given frames, of which there may be none."""
        if not vectors.shape[1]:
            return self.blocks.initial_state(len(vectors))
        return self.blocks(self._join(vectors, controllers))[1]

    def step(self, vector: Tensor, controller: Tensor, memory: Any) -> tuple[Tensor, Any]:
        hidden, memory = self.blocks.step(self._join(vector, controller), memory)
        return self.norm(hidden), memory

    def _join(self, vectors: Tensor, controllers: Tensor) -> Tensor:
        joined: Tensor = self.dropout(self.frame(vectors) + self.controller(controllers))
        return joined
