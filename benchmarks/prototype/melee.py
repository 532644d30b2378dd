"""The Melee prototype's training, written anew from its description in words.

Windows of K frames are sliced one by one and collated, Mamba-2 walks over them position by
position, only the last position has a loss, and every figure is fetched with ``.item()``. Weights
carry the names of ours, so both models can be shown to be the same function.
"""

# ruff: noqa: N803, N806 -- A, B, C, D and L are the paper's names.

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from wm.models.melee_features import Frames, numeric

CATEGORIES = {"action": 400, "jumps": 8, "l_cancel": 3, "hurtbox": 3, "ground": 32}
CATEGORIES["last_attack"] = 64
TABLES = {"action": (400, 32), "jumps": (8, 4), "l_cancel": (3, 2), "hurtbox": (3, 2)}
TABLES |= {"ground": (32, 4), "last_attack": (64, 8), "character": (33, 8), "state_age": (150, 8)}
INTS = ("action", "jumps", "character", "l_cancel", "hurtbox", "ground", "last_attack", "state_age")
HEADS = (8, 6, 10, 6, *CATEGORIES.values(), *CATEGORIES.values())
"""Core, binary, velocity, dynamics of both players; categories of one, then of the other."""
WEIGHTS = (2.0, 0.5, 0.3, 0.3, 0.3, 0.3)
"""Of the categories in the loss."""
PLAYER = 28
"""Numbers of a player: core 4, velocity 5, dynamics 3, binary 3, controller 13."""


def encoded(frames: Frames) -> tuple[Tensor, Tensor]:
    """A game as the prototype stores it: float32 [T, 56] and int64 [T, 17], 360 bytes a frame."""
    ids = dict(zip(CATEGORIES, frames.categories.unbind(-1), strict=True))
    ids["character"], ids["state_age"] = frames.character, frames.state_age.long().clamp(0, 149)
    players = torch.stack([ids[name] for name in INTS], -1).flatten(-2)
    floats = numeric(frames, state_age_embed=True).flatten(-2)
    return floats, torch.cat((players, frames.stage[:, None]), -1)


class Windows(Dataset[tuple[Tensor, ...]]):
    """Every run of ``context`` frames with a frame after it; none crosses games."""

    def __init__(self, games: list[tuple[Tensor, Tensor]], context: int) -> None:
        self._games, self._context = games, context
        self._before = [0, *accumulate(len(floats) - context for floats, _ in games)]

    def __len__(self) -> int:
        return self._before[-1]

    def __getitem__(self, item: int) -> tuple[Tensor, ...]:
        """Numbers [K, 56], ids [K, 17], next controllers [26], targets [30] and [12]."""
        game = bisect_right(self._before, item) - 1
        floats, ints = self._games[game]
        t = item - self._before[game] + self._context
        before, now = floats[t - 1].view(2, PLAYER), floats[t].view(2, PLAYER)
        delta = now - before
        numbers = (delta[:, :4], delta[:, 4:9], now[:, 12:15], now[:, 9:12])
        ids = ints[t, :16].view(2, 8)[:, [0, 1, 3, 4, 5, 6]]
        return (
            floats[t - self._context : t],
            ints[t - self._context : t],
            now[:, 15:].flatten(),
            torch.cat([part.flatten() for part in numbers]),
            ids.flatten(),
        )


class PrototypeModel(nn.Module):
    """The 4.3M shape: d 384, 4 layers, state 64, head 64, convolution 4, expansion 2."""

    def __init__(self, scan: str, width: int = 384, layers: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({n: nn.Embedding(*shape) for n, shape in TABLES.items()})
        self.tables["stage"] = nn.Embedding(33, 4)
        self.frame, self.dropout = nn.Linear(196, width), nn.Dropout(dropout)
        self.controller = nn.Linear(26, width)
        self.layers = nn.ModuleList(Residual(width, scan) for _ in range(layers))
        self.norm = RMSNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in HEADS)

    def forward(self, floats: Tensor, ints: Tensor, controllers: Tensor) -> list[Tensor]:
        """Outputs of the 16 heads for the frame after the window."""
        parts = [floats]
        for name, table in self.tables.items():
            if name != "stage":
                column = INTS.index(name)
                parts += [table(ints[..., column]), table(ints[..., column + 8])]
        parts.append(self.tables["stage"](ints[..., 16]))
        hidden = self.dropout(self.frame(torch.cat(parts, -1)))
        for layer in self.layers:
            hidden = layer(hidden)
        hidden = self.norm(hidden[:, -1]) + self.controller(controllers)
        return [head(hidden) for head in self.heads]

    def take(self, ours: dict[str, Tensor]) -> None:
        """The weights of a :class:`wm.models.melee_model.WorldModel`."""
        state = {k: v for k, v in ours.items() if not k.startswith(("scales.", "heads."))}
        for old in ("backbone.blocks.", "backbone.", "embedding.tables.", "embedding."):
            new = "tables." if "embedding" in old else ""
            state = {k.replace(old, new, 1): v for k, v in state.items()}
        for kind in ("weight", "bias"):
            for i, part in enumerate(torch.split(ours[f"heads.{kind}"], list(HEADS))):
                state[f"heads.{i}.{kind}"] = part
        self.load_state_dict(state)


class Residual(nn.Module):
    """RMSNorm -> Mamba-2 mixer -> residual."""

    def __init__(self, width: int, scan: str) -> None:
        super().__init__()
        self.norm, self.mixer = RMSNorm(width), Mixer(width, scan)

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = u + self.mixer(self.norm(u))
        return out


class Mixer(nn.Module):
    """Mamba-2 with one group; ``scan``: "loop" over the positions, or "ssd" of one chunk."""

    def __init__(self, width: int, scan: str, state: int = 64, headdim: int = 64) -> None:
        super().__init__()
        inner = 2 * width
        self._scan = {"loop": scan_loop, "ssd": scan_ssd}[scan]
        self._sizes, self._headdim = [inner, state, state], headdim
        self._parts = [inner, inner + 2 * state, inner // headdim]
        self.in_proj = nn.Linear(width, sum(self._parts), bias=False)
        channels = inner + 2 * state
        self.conv1d = nn.Conv1d(channels, channels, 4, groups=channels, padding=3)
        heads = inner // headdim
        self.dt_bias = nn.Parameter(torch.empty(heads).uniform_(-1, 1))
        self.A_log = nn.Parameter(torch.arange(1, heads + 1).float().log())
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = RMSNorm(inner)
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        z, channels, dt = torch.split(self.in_proj(u), self._parts, -1)
        channels = F.silu(self.conv1d(channels.transpose(1, 2)).transpose(1, 2)[:, : u.shape[1]])
        x, B, C = torch.split(channels, self._sizes, -1)
        x = torch.unflatten(x, -1, (-1, self._headdim))
        dt = F.softplus(dt + self.dt_bias)
        y = self._scan(x, dt, -self.A_log.exp(), B, C) + x * self.D[:, None]
        out: Tensor = self.out_proj(self.norm(y.flatten(-2) * F.silu(z)))
        return out


class RMSNorm(nn.Module):
    """x / rms(x) * weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


def scan_loop(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T, y_t = h_t C_t, one position after the other."""
    state = x.new_zeros(len(x), *x.shape[2:], B.shape[-1])
    out = []
    for t in range(x.shape[1]):
        added = torch.einsum("bh,bn,bhp->bhpn", dt[:, t], B[:, t], x[:, t])
        state = state * torch.exp(dt[:, t] * A)[..., None, None] + added
        out.append(torch.einsum("bhpn,bn->bhp", state, C[:, t]))
    return torch.stack(out, 1)


def scan_ssd(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The paper's matrix form by einsum over four operands, the window being the only chunk."""
    rate = (dt * A).transpose(1, 2)
    size = rate.shape[-1]
    steps = rate[..., None].expand(*rate.shape, size)
    below = torch.ones(size, size, dtype=torch.bool, device=x.device)
    sums = steps.masked_fill(~below.tril(-1), 0).cumsum(-2).masked_fill(~below.tril(), -torch.inf)
    return torch.einsum("bln,bsn,bhls,bshp->blhp", C, B, sums.exp(), x * dt[..., None])


class Prototype:
    """A training; :meth:`step` is one update and returns its targets."""

    def __init__(self, model: PrototypeModel, data: Windows, batch: int, lr: float = 5e-4) -> None:
        self.model, self._data, self._batch = model.train(), data, batch
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-5)
        self._draw = np.random.default_rng(0)

    def step(self) -> int:
        items = self._draw.integers(len(self._data), size=self._batch).tolist()
        batch = torch.utils.data.default_collate([self._data[item] for item in items])
        loss, _ = loss_and_figures(self.model(*batch[:3]), *batch)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        return self._batch


def loss_and_figures(
    outputs: list[Tensor], floats: Tensor, ints: Tensor, _: Tensor, numbers: Tensor, ids: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Weighted MSE, BCE and CE of the last position, and 19 figures that were waited for."""
    core, velocity, binary, dynamics = torch.split(numbers, [8, 10, 6, 6], -1)
    terms = {
        "core": F.mse_loss(outputs[0], core),
        "binary": 0.5 * F.binary_cross_entropy_with_logits(outputs[1], binary),
        "velocity": 0.5 * F.mse_loss(outputs[2], velocity),
        "dynamics": 0.5 * F.mse_loss(outputs[3], dynamics),
    }
    figures = {}
    for i, (name, weight) in enumerate(zip(CATEGORIES, WEIGHTS, strict=True)):
        both = [F.cross_entropy(outputs[4 + 6 * p + i], ids[:, 6 * p + i]) for p in (0, 1)]
        terms[name] = weight * (both[0] + both[1]) / 2
        right = outputs[4 + i].argmax(-1) == ids[:, i]
        figures[f"{name}_acc"] = right.float().mean().item()
    loss = torch.stack(list(terms.values())).sum()
    figures |= {name: term.item() for name, term in terms.items()}
    with torch.no_grad():
        changed = ids[:, 0] != ints[:, -1, 0]
        figures["changed"] = changed.sum().item()
        figures["loss"] = loss.item()
        error = (outputs[0] - core).abs()
        figures["pos_mae"] = error[:, [1, 2, 5, 6]].mean().item() / 0.05
    return loss, figures
