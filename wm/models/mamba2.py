"""Mamba-2 in plain torch: matrix form for training, one step at a time for rollouts.

Dao & Gu, "Transformers are SSMs" (arXiv 2405.21060). Per head, with dt > 0, A < 0 and shared B, C:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T        y_t = h_t C_t + D x_t

Over a chunk this is (C B^T * L)(dt x) with L[i, j] = exp(A (dt_{j+1} + ... + dt_i)) for j <= i, two
batched matrix products; chunks hand the state on. Parameter names and shapes are mamba_ssm's, so
weights load both ways. On a CPU call ``torch.set_flush_denormal(True)`` once: long decays make
denormals, which slow the chunked form down tenfold.
"""

# ruff: noqa: N803, N806 -- A, B, C and D are the paper's names, and those of the weights.

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wm.models.config import Mamba2Config
from wm.models.mamba_kernel import scan_of


class BlockState(NamedTuple):
    """What a block remembers of the past."""

    conv: Tensor
    """[B, d_conv - 1, channels]: the last inputs of the convolution."""
    ssm: Tensor
    """[B, N, H, P], float32 or wider: h, laid out so that all heads share one matrix product."""


class Mamba2(nn.Module):
    """``layers`` times [RMSNorm -> block -> residual]; the norm after the last is the caller's."""

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Residual(config) for _ in range(config.layers))

    def forward(
        self, u: Tensor, state: list[BlockState] | None = None
    ) -> tuple[Tensor, list[BlockState]]:
        """[B, L, d_model] to the same shape, going on from ``state`` where one is given."""
        after = []
        for i, layer in enumerate(self._layers()):
            u, block_state = layer(u, state[i] if state else None)
            after.append(block_state)
        return u, after

    def step(self, u: Tensor, state: list[BlockState]) -> tuple[Tensor, list[BlockState]]:
        """One position, [B, d_model] to the same shape: a frame of a rollout."""
        after = []
        for layer, before in zip(self._layers(), state, strict=True):
            u, block_state = layer.step(u, before)
            after.append(block_state)
        return u, after

    def initial_state(self, batch: int) -> list[BlockState]:
        """The state before the first position, for :meth:`step`."""
        return [layer.mixer.initial_state(batch) for layer in self._layers()]

    def _layers(self) -> Iterable[_Residual]:
        return cast("Iterable[_Residual]", self.layers)


class _Residual(nn.Module):
    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.norm = RMSNorm(config.d_model)
        self.mixer = Mamba2Block(config)

    def forward(self, u: Tensor, state: BlockState | None) -> tuple[Tensor, BlockState]:
        y, state = self.mixer(self.norm(u), state)
        return u + y, state

    def step(self, u: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        y, state = self.mixer.step(self.norm(u), state)
        return u + y, state


class Mamba2Block(nn.Module):
    """One Mamba-2 mixer with a single group: H heads of width P share B and C of width N.

    Sequences up to ``config.chunk`` take the one-chunk form, longer ones of any length the chunked
    form; both, :meth:`step` and the other backends are the same function up to rounding.
    """

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        inner = config.expand * config.d_model
        heads = inner // config.headdim
        channels = inner + 2 * config.d_state
        self._chunk = config.chunk
        self._scan = scan_of(config.backend, ssd)
        self._headdim = config.headdim
        self._parts = [inner, channels, heads]
        self._channels = [inner, config.d_state, config.d_state]

        self.in_proj = nn.Linear(config.d_model, sum(self._parts), bias=False)
        self.conv1d = nn.Conv1d(channels, channels, config.d_conv, groups=channels)
        self.dt_bias = _undecayed(_initial_dt_bias(heads))
        self.A_log = _undecayed(torch.empty(heads).uniform_(1, 16).log())
        self.D = _undecayed(torch.ones(heads))
        self.norm = RMSNorm(inner)
        self.out_proj = nn.Linear(inner, config.d_model, bias=False)

    def forward(self, u: Tensor, state: BlockState | None = None) -> tuple[Tensor, BlockState]:
        """[B, L, d_model] to the same shape, and the state after position L."""
        z, channels, dt = torch.split(self.in_proj(u), self._parts, dim=-1)
        past = (state or self.initial_state(len(u))).conv.to(channels.dtype)
        window = torch.cat([past, channels], dim=1)
        x, B, C = torch.split(self._convolve(window, u.shape[1]), self._channels, dim=-1)
        x = torch.unflatten(x, -1, (-1, self._headdim))
        dt, A = self._rates(dt)
        y, ssm = self._scan(x, dt, A, B, C, self._chunk, state.ssm if state else None)
        conv = window[:, u.shape[1] :]
        return self._output(y, x, z), BlockState(conv, ssm)

    def step(self, u: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One position: [B, d_model] to the same shape."""
        z, channels, dt = torch.split(self.in_proj(u), self._parts, dim=-1)
        window = torch.cat([state.conv.to(channels.dtype), channels[:, None]], dim=1)
        x, B, C = torch.split(self._convolve(window, 1)[:, 0], self._channels, dim=-1)
        x = torch.unflatten(x, -1, (-1, self._headdim))
        dt, A = self._rates(dt)
        added = B[:, :, None, None] * (dt.unsqueeze(-1) * x).unsqueeze(1)
        ssm = torch.addcmul(added, state.ssm, (dt * A).exp()[:, None, :, None])
        y = (C.to(ssm.dtype).unsqueeze(1) @ ssm.flatten(2)).view_as(x).to(x.dtype)
        return self._output(y, x, z), BlockState(window[:, 1:], ssm)

    def initial_state(self, batch: int) -> BlockState:
        """The state before the first position: zeros."""
        weight = self.conv1d.weight
        conv = weight.new_zeros(batch, weight.shape[-1] - 1, len(weight))
        ssm = self.A_log.new_zeros(
            batch, self._channels[-1], len(self.A_log), self._headdim, dtype=_wide(self.A_log)
        )
        return BlockState(conv, ssm)

    def _convolve(self, window: Tensor, length: int) -> Tensor:
        """Causal depthwise convolution and SiLU over [B, d_conv - 1 + length, channels].

        A sum of shifted products: as fast as conv1d is slow on a CPU, and it needs no transpose.
        Each tap's weights lie side by side, without which it would be seven times as slow.
        """
        taps = self.conv1d.weight[:, 0].to(window.dtype).T.contiguous()
        bias = self.conv1d.bias
        assert bias is not None
        out = bias.to(window.dtype)
        for i, tap in enumerate(taps):
            out = torch.addcmul(out, window[:, i : i + length], tap)
        return F.silu(out)

    def _rates(self, dt: Tensor) -> tuple[Tensor, Tensor]:
        """dt > 0 and A < 0 per head, in float32 or wider: they are summed and exponentiated."""
        wide = _wide(dt)
        return F.softplus(dt.to(wide) + self.dt_bias.to(wide)), -self.A_log.to(wide).exp()

    def _output(self, y: Tensor, x: Tensor, z: Tensor) -> Tensor:
        y = torch.addcmul(y, x, self.D.to(x.dtype)[:, None]).flatten(-2)
        out: Tensor = self.out_proj(self.norm(y * F.silu(z)))
        return out


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension, computed in float32 or wider."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(_wide(x))
        normed = F.rms_norm(wide, self.weight.shape, self.weight.to(wide.dtype), self._eps)
        return normed.to(x.dtype)


def ssd(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The state-space sum over a sequence, in chunks of at most ``chunk`` positions.

    ``x`` [batch, L, H, P], ``dt`` [batch, L, H], ``A`` [H], ``B`` and ``C`` [batch, L, N],
    ``state`` [batch, N, H, P] or None for zeros. Returns y [batch, L, H, P] in x's dtype, without
    the D term, and the state after L. Rates, their sums and the state keep the (wide) dtype of
    ``dt``; the products run in x's dtype.
    """
    length = x.shape[1]
    # Chunks of one size, so that any length is padded by less than one position a chunk.
    count = max(1, math.ceil(length / chunk))
    size = max(1, math.ceil(length / count))

    def chunked(sequence: Tensor) -> Tensor:
        # With dt = 0 a padded position neither decays the state nor adds to it.
        missing = count * size - length
        if missing:
            padding = sequence.new_zeros(len(x), missing, *sequence.shape[2:])
            sequence = torch.cat([sequence, padding], dim=1)
        return torch.unflatten(sequence, 1, (count, size))

    # [batch, chunk, position, ...] from here on.
    B, C = chunked(B), chunked(C)
    rate = chunked(dt * A).cumsum(2)
    u = chunked(x * dt.to(x.dtype).unsqueeze(-1))

    score = (C @ B.mT).unsqueeze(2)
    y = ((score * _decay(rate.mT).to(score.dtype)) @ u.transpose(2, 3)).transpose(2, 3)

    # What each chunk adds to the state, and what is left of that in the positions after it.
    total = rate[:, :, -1:]
    left = u * (total - rate).exp().to(u.dtype).unsqueeze(-1)
    added = torch.unflatten(B.mT @ left.flatten(3), -1, x.shape[2:]).to(rate.dtype)
    if state is None and count == 1:
        return y.flatten(1, 2)[:, :length], added[:, 0]

    state = torch.zeros_like(added[:, 0]) if state is None else state
    before = []
    for decay, more in zip(total.exp().unsqueeze(-1).unbind(1), added.unbind(1), strict=True):
        before.append(state)
        state = torch.addcmul(more, state, decay)
    carried = C @ torch.stack(before, 1).to(C.dtype).flatten(3)
    carried = torch.unflatten(carried, -1, x.shape[2:])
    y = torch.addcmul(y, carried, rate.exp().to(carried.dtype).unsqueeze(-1))
    return y.flatten(1, 2)[:, :length], state


def _decay(rate: Tensor) -> Tensor:
    """exp(rate_i - rate_j) for j <= i, else 0: [..., l] running sums to [..., l, l].

    Masked before exp, so that what lies above the diagonal cannot overflow into the gradient.
    """
    size = rate.shape[-1]
    above = torch.ones(size, size, dtype=torch.bool, device=rate.device).triu(1)
    return (rate[..., :, None] - rate[..., None, :]).masked_fill(above, -torch.inf).exp()


def _undecayed(values: Tensor) -> nn.Parameter:
    """A parameter that the optimizer must not decay, marked as mamba_ssm marks it."""
    parameter = nn.Parameter(values)
    parameter._no_weight_decay = True  # type: ignore[attr-defined]
    return parameter


def _initial_dt_bias(heads: int) -> Tensor:
    """Inverse softplus of dt log-uniform in 1e-3 .. 0.1."""
    dt = torch.empty(heads).uniform_(math.log(1e-3), math.log(0.1)).exp()
    return dt + torch.log(-torch.expm1(-dt))


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
