"""Mamba-2: all forms are one function, at the shapes of mamba_ssm."""

# ruff: noqa: N803, N806 -- A, B, C are the paper's names.

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from wm.models.config import Mamba2Config
from wm.models.mamba2 import BlockState, Mamba2, Mamba2Block, ssd

SMALL = Mamba2Config(d_model=16, layers=2, d_state=8, headdim=4, chunk=8)


GOLDEN: dict[str, tuple[int, ...]] = {
    "dt_bias": (12,),
    "A_log": (12,),
    "D": (12,),
    "in_proj.weight": (1676, 384),
    "conv1d.weight": (896, 1, 4),
    "conv1d.bias": (896,),
    "norm.weight": (768,),
    "out_proj.weight": (384, 768),
}
"""State dict of mamba_ssm.Mamba2(384, d_state=64), measured; HF's mixer has the same."""


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(7)


def test_block_has_the_names_and_shapes_of_mamba_ssm() -> None:
    block = Mamba2Block(Mamba2Config())
    assert {name: tuple(p.shape) for name, p in block.state_dict().items()} == GOLDEN
    assert sum(p.numel() for p in block.parameters()) == 943_780
    backbone = Mamba2(Mamba2Config())
    assert sum(p.numel() for p in backbone.parameters()) == 4 * (943_780 + 384)


def test_weights_of_the_packages_layout_go_both_ways() -> None:
    theirs = {name: torch.randn(shape) for name, shape in GOLDEN.items()}
    block = Mamba2Block(Mamba2Config())
    _assert_both_ways(block, _Theirs(theirs))
    # In the model each block is a mixer beside its norm, as in mamba_ssm's own.
    names = {name.removeprefix("layers.3.") for name in Mamba2(Mamba2Config()).state_dict()}
    assert {f"mixer.{name}" for name in theirs} | {"norm.weight"} <= names


def test_weights_go_both_ways_with_mamba_ssm() -> None:
    mamba_ssm = pytest.importorskip("mamba_ssm", exc_type=ImportError)
    theirs = mamba_ssm.Mamba2(384, d_state=64, device="cpu")
    _assert_both_ways(Mamba2Block(Mamba2Config()), theirs)


@pytest.mark.parametrize("length", [1, 10, 64, 65, 200])
def test_block_equals_the_mixer_of_transformers(length: int) -> None:
    pytest.importorskip("transformers", exc_type=ImportError)
    from transformers import Mamba2Config as TheirConfig
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    shape = {"hidden_size": 384, "num_heads": 12, "head_dim": 64, "state_size": 64}
    config = TheirConfig(**shape, n_groups=1, chunk_size=64, num_hidden_layers=1)
    theirs, block = Mamba2Mixer(config, 0).eval(), Mamba2Block(Mamba2Config())
    for parameter in (block.norm.weight, block.D):
        torch.nn.init.normal_(parameter)
    _assert_both_ways(block, theirs)
    u = torch.randn(2, length, 384)
    with torch.no_grad():
        torch.testing.assert_close(block(u)[0], theirs(u), rtol=0, atol=5e-6)


def test_rates_start_in_their_ranges_and_are_not_decayed() -> None:
    block = Mamba2Block(Mamba2Config(d_model=1024, headdim=2))
    dt = F.softplus(block.dt_bias.detach())
    A = block.A_log.detach().exp()
    assert 1e-3 * 0.99 < dt.min() < 2e-3
    assert 0.05 < dt.max() < 0.1 * 1.01
    assert dt.median().item() == pytest.approx(1e-2, rel=0.3)  # log-uniform
    assert 1 <= A.min() < 2
    assert 15 < A.max() <= 16
    assert block.D.eq(1).all()
    undecayed = {n for n, p in block.named_parameters() if getattr(p, "_no_weight_decay", False)}
    assert undecayed == {"A_log", "D", "dt_bias"}


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 16, 17, 61])
@pytest.mark.parametrize("given_state", [False, True])
def test_chunks_equal_the_sequential_scan(length: int, given_state: bool) -> None:
    x, dt, A, B, C, state = _sequence(length)
    start = state if given_state else torch.zeros_like(state)
    want_y, want_state = _scan(x, dt, A, B, C, start)
    for chunk in (1, 8, 64):
        y, after = ssd(x, dt, A, B, C, chunk, state if given_state else None)
        torch.testing.assert_close(y, want_y, rtol=0, atol=1e-12)
        torch.testing.assert_close(after, want_state, rtol=0, atol=1e-12)


def test_chunks_equal_the_scan_in_single_precision_under_strong_decay() -> None:
    parts = _sequence(200)
    want, _ = _scan(*parts)
    y, state = ssd(*(p.float() for p in parts[:5]), 64, parts[5].float())
    assert y.dtype == state.dtype == torch.float32
    torch.testing.assert_close(y.double(), want, rtol=0, atol=3e-4)


@pytest.mark.parametrize("length", [10, 64, 200])
@pytest.mark.parametrize(
    ("dtype", "error"),
    [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)],
)
def test_forms_equal_the_scan_at_the_shape_of_a_real_model(
    length: int, dtype: torch.dtype, error: float
) -> None:
    x, dt, A, B, C, state = _sequence(length, heads=12, width=64, n=64)
    low = [part.to(dtype) for part in (x, B, C)]
    want, want_state = _scan(low[0].double(), dt, A, low[1].double(), low[2].double(), state)
    wide = torch.promote_types(dtype, torch.float32)
    for chunk in (16, 64, 512):
        y, after = ssd(low[0], dt.to(wide), A.to(wide), low[1], low[2], chunk, state.to(wide))
        assert (y.dtype, after.dtype) == (dtype, wide)
        assert (y.double() - want).std() < error * want.std()
        assert (after.double() - want_state).std() < error * want_state.std()


@pytest.mark.parametrize("form", ["one chunk", "chunks", "steps"])
def test_block_is_conv_scan_skip_gate_norm(form: str) -> None:
    config = SMALL.model_copy(update={"chunk": 4 if form == "chunks" else 64})
    block = Mamba2Block(config).double()
    for parameter in (block.norm.weight, block.D):
        torch.nn.init.normal_(parameter)
    u = torch.randn(2, 11, 16, dtype=torch.float64)
    z, channels, dt = (u @ block.in_proj.weight.T).split([32, 48, 8], dim=-1)
    convolved = block.conv1d(F.pad(channels.mT, (3, 0))).mT
    x, B, C = F.silu(convolved).split([32, 8, 8], dim=-1)
    x = x.view(2, 11, 8, 4)
    zeros = torch.zeros(2, 8, 8, 4, dtype=torch.float64)
    y, _ = _scan(x, F.softplus(dt + block.dt_bias), -block.A_log.exp(), B, C, zeros)
    gated = (y + block.D[:, None] * x).flatten(2) * F.silu(z)
    normed = gated / (gated.square().mean(-1, keepdim=True) + 1e-5).sqrt() * block.norm.weight
    want = normed @ block.out_proj.weight.T
    got = _stepped(block, u) if form == "steps" else block(u)[0]
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("length", [1, 5, 8, 9, 30])
def test_steps_equal_the_whole_sequence(length: int) -> None:
    model = Mamba2(SMALL).double()
    u = torch.randn(3, length, 16, dtype=torch.float64)
    whole, end = model(u)
    state = model.initial_state(3)
    stepped = []
    for t in range(length):
        y, state = model.step(u[:, t], state)
        stepped.append(y)
    torch.testing.assert_close(torch.stack(stepped, 1), whole, rtol=0, atol=1e-12)
    _assert_same_state(state, end)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 40), data=st.data())
def test_state_can_be_handed_over_at_any_cut(length: int, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, length))
    model = Mamba2(SMALL).double()
    u = torch.randn(2, length, 16, dtype=torch.float64)
    whole, end = model(u)
    first, state = model(u[:, :cut])
    second, state = model(u[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-12)
    _assert_same_state(state, end)


@pytest.mark.parametrize("length", [8, 21])
def test_a_position_sees_only_its_past(length: int) -> None:
    model = Mamba2(SMALL).double()
    u = torch.randn(1, length, 16, dtype=torch.float64)
    changed = u.clone()
    changed[:, 5] += 1
    difference = (model(u)[0] - model(changed)[0]).abs().amax(-1)[0]
    assert difference[:5].eq(0).all()
    assert difference[5:].gt(0).all()


def test_gradients_equal_those_of_the_scan() -> None:
    gradients = []
    for form in (_scan, lambda *parts: ssd(*parts[:5], 8, parts[5])):
        torch.manual_seed(3)
        parts = [part.requires_grad_() for part in _sequence(19)]
        y, state = form(*parts)
        (y.square().sum() + state.square().sum()).backward()
        gradients.append([part.grad for part in parts])
    for want, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_gradients_stay_finite_where_the_masked_half_would_overflow() -> None:
    x, dt, A, B, C, _ = (part.float() for part in _sequence(64))
    dt = (dt * 100).requires_grad_()  # decays of exp(-1600 a step): exp(+1600) above the diagonal
    y, _ = ssd(x, dt, A, B, C, 64, None)
    y.sum().backward()
    assert y.isfinite().all()
    assert dt.grad is not None
    assert dt.grad.isfinite().all()


@pytest.mark.parametrize("length", [8, 30])
def test_bfloat16_activations_stay_near_and_keep_a_wide_state(length: int) -> None:
    model = Mamba2(SMALL)
    u = torch.randn(4, length, 16)
    want, _ = model(u)
    with torch.autocast("cpu", torch.bfloat16):
        got, states = model(u)
        stepped, after = model.step(u[:, 0], model.initial_state(4))
    assert all(state.ssm.dtype == torch.float32 for state in (*states, *after))
    error = (got - want).std() / want.std()
    assert 0 < error < 0.02
    torch.testing.assert_close(stepped, want[:, 0], rtol=0.05, atol=0.05)


def test_a_model_cast_to_bfloat16_keeps_a_wide_state() -> None:
    model = Mamba2(SMALL).bfloat16()
    u = torch.randn(2, 11, 16, dtype=torch.bfloat16)
    whole, end = model(u[:, :10])
    y, after = model.step(u[:, 10], end)
    assert whole.dtype == y.dtype == torch.bfloat16
    states = (*model.initial_state(2), *end, *after)
    assert all(state.ssm.dtype == torch.float32 for state in states)


def test_heads_that_do_not_fill_the_width_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"headdim 48 does not divide .* = 128.* such as 64"):
        Mamba2Config(d_model=64, headdim=48)


def _sequence(
    length: int, heads: int = 3, width: int = 5, n: int = 7
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """x, dt, A, B, C and a state for 2 sequences."""
    wide = torch.float64
    return (
        torch.randn(2, length, heads, width, dtype=wide),
        torch.rand(2, length, heads, dtype=wide),
        -torch.empty(heads, dtype=wide).uniform_(1, 16),
        torch.randn(2, length, n, dtype=wide),
        torch.randn(2, length, n, dtype=wide),
        torch.randn(2, n, heads, width, dtype=wide),
    )


def _scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence as the paper writes it, position by position."""
    outputs = [x[:, :0]]
    for t in range(x.shape[1]):
        decay = (dt[:, t] * A).exp()
        added = torch.einsum("bh,bhp,bn->bnhp", dt[:, t], x[:, t], B[:, t])
        state = decay[:, None, :, None] * state + added
        outputs.append(torch.einsum("bn,bnhp->bhp", C[:, t], state).unsqueeze(1))
    return torch.cat(outputs, 1), state


class _Theirs(nn.Module):
    """A module whose state dict has the given names and tensors."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            folder, _, last = name.rpartition(".")
            if folder and not hasattr(self, folder):
                self.add_module(folder, nn.Module())
            self.get_submodule(folder).register_parameter(last, nn.Parameter(tensor))


def _assert_both_ways(ours: nn.Module, theirs: nn.Module) -> None:
    """Each takes the other's state dict whole, whatever it held before."""
    for giver, taker in ((theirs, ours), (ours, theirs)):
        with torch.no_grad():
            for parameter in giver.parameters():
                parameter.mul_(1.25)
        taker.load_state_dict(giver.state_dict(), strict=True)
        taken = taker.state_dict()
        assert all(torch.equal(taken[name], w) for name, w in giver.state_dict().items())


def _stepped(block: Mamba2Block, u: Tensor) -> Tensor:
    state, outputs = block.initial_state(len(u)), []
    for t in range(u.shape[1]):
        y, state = block.step(u[:, t], state)
        outputs.append(y)
    return torch.stack(outputs, 1)


def _assert_same_state(got: list[BlockState], want: list[BlockState]) -> None:
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a.conv, b.conv, rtol=0, atol=1e-12)
        torch.testing.assert_close(a.ssm, b.ssm, rtol=0, atol=1e-12)
