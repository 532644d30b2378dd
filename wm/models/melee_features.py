"""Packed Melee frames -> tensors, on the device that trains.

A frame is 104 bytes (:mod:`wm.games.melee.schema`). :func:`decode` gives its columns in game units;
:class:`FrameEmbedding` scales and embeds them into the frame vector that models see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from wm.games.melee import schema
from wm.games.melee.vocabulary import VOCABULARY

CORE = ("percent", "x", "y", "shield")
VELOCITY = ("self_x_air", "self_y", "self_x_ground", "knockback_x", "knockback_y")
DYNAMICS = ("hitlag", "stocks", "combo")
BINARY = ("facing", "invulnerable", "on_ground")
CATEGORIES = {
    name: VOCABULARY[name]
    for name in ("action", "jumps", "l_cancel", "hurtbox", "ground", "last_attack")
}
"""Predicted categorical columns and the sizes of their vocabularies, in head order."""
CHARACTERS, AGES, STAGES = VOCABULARY["character"], VOCABULARY["state_age"], 33
"""Vocabulary sizes of what is seen but not predicted: internal character, age, external stage."""
CONTROLLER = 13
"""Inputs per player: main stick x y, c-stick x y, shoulder, eight buttons; all in 0..1."""

PROTOTYPE_SCALE = (0.01, 0.05, 0.05, 0.01, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1, 0.25, 0.1)
"""Of CORE + VELOCITY + DYNAMICS, as the prototype scales them."""

_EMBED = {"action": 32, "jumps": 4, "l_cancel": 2, "hurtbox": 2, "ground": 4, "last_attack": 8}


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames in game units. All tensors share their leading dimensions, written ``...``."""

    core: Tensor
    """float32 [..., 2, 4]: CORE."""
    velocity: Tensor
    """float32 [..., 2, 5]: VELOCITY, units per frame."""
    dynamics: Tensor
    """float32 [..., 2, 3]: DYNAMICS."""
    binary: Tensor
    """float32 [..., 2, 3]: BINARY as 0 or 1."""
    state_age: Tensor
    """float32 [..., 2]: frames since the action began."""
    categories: Tensor
    """int64 [..., 2, 6]: CATEGORIES, clipped into their vocabularies."""
    controller: Tensor
    """float32 [..., 2, 13]: the inputs that led to this frame, in 0..1."""
    character: Tensor
    """int64 [..., 2]: internal id."""
    stage: Tensor
    """int64 [...]: external id."""

    def __getitem__(self, index: Any) -> Frames:
        """The same index into the leading dimensions of every column (so never an Ellipsis)."""
        return self.map(lambda column: column[index])

    def map(self, change: Callable[[Tensor], Tensor]) -> Frames:
        """Frames with ``change`` applied to every column."""
        return Frames(*(change(getattr(self, f.name)) for f in fields(self)))

    @property
    def position(self) -> Tensor:
        """[..., 2, 2]: x and y."""
        return self.core[..., 1:3]

    @property
    def action(self) -> Tensor:
        """int64 [..., 2]."""
        return self.categories[..., 0]

    @property
    def on_ground(self) -> Tensor:
        """bool [..., 2]."""
        return self.binary[..., 2] > 0.5


def stack(frames: list[Frames], dim: int) -> Frames:
    """Frames of equal shape along a new leading dimension ``dim``."""
    names = [f.name for f in fields(Frames)]
    return Frames(*(torch.stack([getattr(f, n) for f in frames], dim) for n in names))


def decode(records: Tensor) -> Frames:
    """Columns of packed frames: uint8 [..., 104] -> :class:`Frames`."""
    f32 = _view(records, 0, 24, torch.float32)
    f16 = _view(records, 24, 76, torch.float16).float()
    # int16 and a mask: arithmetic on torch.uint16 is not there on every device.
    u16 = _view(records, 76, 84, torch.int16).long() & 0xFFFF
    u8 = _view(records, 84, 102, torch.uint8).long()

    small = {name: u8[..., i] for i, name in enumerate(schema.U8)}
    half = {name: f16[..., i] for i, name in enumerate(schema.F16)}
    flags = {name: (small["flags"] >> i) & 1 for i, name in enumerate(schema.FLAGS)}
    ground = torch.where(u16[..., 1] == schema.AIRBORNE_GROUND, 0, u16[..., 1] + 1)
    categories = small | {"action": u16[..., 0], "ground": ground}
    return Frames(
        core=torch.stack((f32[..., 2], f32[..., 0], f32[..., 1], half["shield"]), -1),
        velocity=torch.stack([half[name] for name in VELOCITY], -1),
        dynamics=torch.stack((half["hitlag"], small["stocks"], small["combo"]), -1),
        binary=torch.stack([flags[name] for name in BINARY], -1).float(),
        state_age=half["state_age"],
        categories=torch.stack(
            [categories[name].clamp(max=size - 1) for name, size in CATEGORIES.items()], -1
        ),
        controller=_controller(half, small["buttons"]),
        character=small["character"].clamp(max=CHARACTERS - 1),
        stage=records[..., 102].long().clamp(max=STAGES - 1),
    )


class FrameEmbedding(nn.Module):
    """Frame vector: scaled numbers of both players, then their embedded categories and the stage.

    With ``state_age_embed`` the vector is 196 wide (56 floats), otherwise 182 (58 floats).
    """

    def __init__(self, state_age_embed: bool) -> None:
        super().__init__()
        self.state_age_embed = state_age_embed
        self.tables = nn.ModuleDict(
            {name: nn.Embedding(size, _EMBED[name]) for name, size in CATEGORIES.items()}
        )
        self.character = nn.Embedding(CHARACTERS, 8)
        self.stage = nn.Embedding(STAGES, 4)
        if state_age_embed:
            self.state_age = nn.Embedding(AGES, 8)

    @property
    def width(self) -> int:
        return 196 if self.state_age_embed else 182

    def forward(self, frames: Frames, mean: Tensor, std: Tensor) -> Tensor:
        """[...] frames -> [..., width]; numbers are standardised by ``mean`` and ``std``."""
        numbers = (numeric(frames, self.state_age_embed) - mean) / std
        parts = [numbers.flatten(-2)]
        for i, table in enumerate(self.tables.values()):
            parts.append(table(frames.categories[..., i]).flatten(-2))
        parts.append(self.character(frames.character).flatten(-2))
        if self.state_age_embed:
            age = frames.state_age.long().clamp(0, AGES - 1)
            parts.append(self.state_age(age).flatten(-2))
        parts.append(self.stage(frames.stage))
        return torch.cat(parts, -1)


def numeric(frames: Frames, state_age_embed: bool) -> Tensor:
    """Numbers of each player in the prototype's order and scales, [..., 2, 28 or 29].

    Core, velocity, [state age], dynamics, binary, controller.
    """
    scale = prototype_scale(frames.core)
    parts = [frames.core * scale[:4], frames.velocity * scale[4:9]]
    if not state_age_embed:
        parts.append(frames.state_age.unsqueeze(-1) * 0.01)
    parts += [frames.dynamics * scale[9:], frames.binary, frames.controller]
    return torch.cat(parts, -1)


def prototype_scale(like: Tensor) -> Tensor:
    """:data:`PROTOTYPE_SCALE` with device and dtype of ``like``, made there.

    A copy from the host would have it wait for the device, and no CUDA graph could hold it.
    """
    return torch.cat([like.new_full((1,), unit) for unit in PROTOTYPE_SCALE])


def _view(records: Tensor, start: int, stop: int, dtype: torch.dtype) -> Tensor:
    return records[..., start:stop].view(dtype).reshape(*records.shape[:-1], 2, -1)


def _controller(half: dict[str, Tensor], buttons: Tensor) -> Tensor:
    sticks = torch.stack([half[n] for n in ("stick_x", "stick_y", "cstick_x", "cstick_y")], -1)
    bits = torch.arange(len(schema.BUTTONS), device=buttons.device)
    pressed = (buttons.unsqueeze(-1) >> bits) & 1
    return torch.cat((sticks / 2 + 0.5, half["shoulder"].unsqueeze(-1), pressed), -1)
