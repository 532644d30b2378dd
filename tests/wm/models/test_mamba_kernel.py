"""The kernel's calls and layouts, by a stand-in that computes what mamba_ssm documents."""

# ruff: noqa: N803, N806 -- A, B, C are the paper's names.

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from wm.artifacts.model import publish_model
from wm.errors import BadConfig
from wm.models import mamba_kernel
from wm.models.build import build, load_model, weights_bytes
from wm.models.config import Mamba2Config
from wm.models.mamba2 import Mamba2, ssd
from wm.models.melee_model import WorldModel
from wm.store import open_store

MODULE = "mamba_ssm.ops.triton.ssd_combined"
SMALL = Mamba2Config(d_model=16, layers=2, d_state=8, headdim=4, chunk=8)


class Stand:
    """mamba_ssm's scan position by position, with its signature, layouts and checks of shapes."""

    def __init__(self) -> None:
        self.chunks: list[int] = []

    def mamba_chunk_scan_combined(
        self,
        x: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        chunk_size: int,
        D: Tensor | None = None,
        z: Tensor | None = None,
        dt_bias: Tensor | None = None,
        initial_states: Tensor | None = None,
        seq_idx: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        dt_softplus: bool = False,
        dt_limit: tuple[float, float] = (0.0, float("inf")),
        return_final_states: bool = False,
        return_varlen_states: bool = False,
    ) -> tuple[Tensor, Tensor]:
        batch, length, heads, width = x.shape
        groups, n = B.shape[2:]
        assert B.shape == C.shape == (batch, length, groups, n)
        assert dt.shape == (batch, length, heads)
        assert A.shape == (heads,)
        assert heads % groups == 0
        assert x.dtype == B.dtype == C.dtype
        assert length >= 1
        assert chunk_size >= 16
        assert chunk_size & (chunk_size - 1) == 0
        assert return_final_states
        assert not dt_softplus
        assert D is z is dt_bias is seq_idx is cu_seqlens is None
        self.chunks.append(chunk_size)
        h = torch.zeros(batch, heads, width, n)
        if initial_states is not None:
            assert initial_states.shape == h.shape
            h = initial_states.float()
        outputs = []
        for t in range(length):
            entering = (dt[:, t, :, None] * x[:, t].float())[..., None] * B[:, t, :, None].float()
            h = (dt[:, t] * A).exp()[..., None, None] * h + entering
            outputs.append((h * C[:, t, :, None].float()).sum(-1).to(x.dtype))
        return torch.stack(outputs, 1), h


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    def forget() -> None:
        mamba_kernel._load.cache_clear()
        mamba_kernel._say.cache_clear()
        mamba_kernel._taken.clear()

    torch.manual_seed(11)
    forget()
    yield
    forget()


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """A machine where the kernel can be imported and every device is a GPU."""
    stand, module = Stand(), ModuleType(MODULE)
    module.mamba_chunk_scan_combined = stand.mamba_chunk_scan_combined  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULE, module)
    monkeypatch.setattr(mamba_kernel, "_on_gpu", lambda x: True)
    return stand


@pytest.mark.parametrize("length", [0, 1, 3, 8, 9, 30])
@pytest.mark.parametrize("given_state", [False, True])
def test_the_kernel_is_called_so_that_it_computes_the_same(
    stand: Stand, length: int, given_state: bool
) -> None:
    args = _sequence(length, given_state)
    want, want_state = ssd(*args)
    got, state = mamba_kernel.scan_of("kernel", ssd)(*args)
    assert bool(stand.chunks) == (length > 0)
    torch.testing.assert_close(got, want, rtol=0, atol=2e-5)
    torch.testing.assert_close(state, want_state, rtol=0, atol=2e-5)


def test_gradients_pass_through_the_kernels_layouts(stand: Stand) -> None:
    found = []
    for form in (ssd, mamba_kernel.scan_of("kernel", ssd)):
        torch.manual_seed(5)
        args = _sequence(13, given_state=True)
        inputs = [a.requires_grad_() for a in args if isinstance(a, Tensor)]
        y, state = form(*args)
        found.append(torch.autograd.grad(y.square().sum() + state.square().sum(), inputs))
    for want, got in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_a_model_goes_on_with_the_other_backend(stand: Stand) -> None:
    plain = Mamba2(SMALL)
    other = Mamba2(SMALL.model_copy(update={"backend": "kernel"}))
    other.load_state_dict(plain.state_dict())
    u = torch.randn(3, 24, 16)
    want, end = plain(u)
    first, state = other(u[:, :10])
    second, state = plain(u[:, 10:15], state)
    third, state = other(u[:, 15:23], state)
    fourth, state = other.step(u[:, 23], state)
    got = torch.cat([first, second, third, fourth.unsqueeze(1)], 1)
    assert len(stand.chunks) == 2 * SMALL.layers
    torch.testing.assert_close(got, want, rtol=0, atol=2e-5)
    for a, b in zip(state, end, strict=True):
        torch.testing.assert_close(a.ssm, b.ssm, rtol=0, atol=2e-5)


def test_bfloat16_activations_keep_a_wide_state(stand: Stand) -> None:
    model = Mamba2(SMALL.model_copy(update={"backend": "kernel"}))
    u = torch.randn(2, 11, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y, states = model(u)
        _, after = model(u, states)
    assert y.isfinite().all()
    assert all(state.ssm.dtype == torch.float32 for state in (*states, *after))


@pytest.mark.parametrize(
    ("chunk", "length", "size"),
    [(64, 10, 16), (64, 17, 32), (64, 60, 64), (64, 512, 64), (100, 512, 128), (8, 512, 16)],
)
def test_chunks_are_powers_of_two_that_pad_little(
    stand: Stand, chunk: int, length: int, size: int
) -> None:
    x, dt, A, B, C, _, state = _sequence(length, given_state=False)
    mamba_kernel.scan_of("kernel", ssd)(x, dt, A, B, C, chunk, state)
    assert stand.chunks == [size]


def test_without_cuda_the_kernel_is_refused_with_a_way_out() -> None:
    model = Mamba2(SMALL.model_copy(update={"backend": "kernel"}))
    with pytest.raises(BadConfig, match="needs CUDA, and the model is on cpu") as refused:
        model(torch.randn(1, 9, 16))
    assert "take backend: torch" in refused.value.hint


def test_without_mamba_ssm_the_kernel_is_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mamba_kernel, "_on_gpu", lambda x: True)
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(BadConfig, match=r"cannot be imported \(ModuleNotFoundError.*install"):
        mamba_kernel.scan_of("kernel", ssd)(*_sequence(9, given_state=False))


def test_the_kernel_is_refused_in_double_precision(stand: Stand) -> None:
    model = Mamba2(SMALL.model_copy(update={"backend": "kernel"})).double()
    with pytest.raises(BadConfig, match="no float64"):
        model(torch.randn(1, 9, 16, dtype=torch.float64))


def test_a_rollout_needs_no_kernel() -> None:
    model = Mamba2(SMALL.model_copy(update={"backend": "kernel"}))
    y, _ = model.step(torch.randn(2, 16), model.initial_state(2))
    assert y.shape == (2, 16)


def test_a_model_trained_with_the_kernel_is_loaded_where_there_is_none(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"backend": "kernel"})
    store, model = open_store(str(tmp_path)), build(config, "melee")
    card = publish_model(
        store,
        weights_bytes(model),
        name="small",
        game="melee",
        config=config.model_dump(mode="json"),
        parameters=1,
        data="datasets/none/0",
        data_fingerprint="0",
        run="run",
        stage="train",
        step=0,
        metrics={},
        training={},
    )
    assert card.config["backend"] == "kernel"
    loaded = load_model(store, card)
    assert isinstance(loaded, WorldModel)
    vectors = torch.randn(1, 5, loaded.embedding.width)
    loaded.backbone.begin(vectors, torch.zeros(1, 5, 26))


def test_auto_takes_torch_on_a_cpu_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    plain = Mamba2(SMALL)
    auto = Mamba2(SMALL.model_copy(update={"backend": "auto"}))
    auto.load_state_dict(plain.state_dict())
    u = torch.randn(2, 20, 16)
    with caplog.at_level(logging.INFO, "wm.models"):
        got = [auto(u)[0], auto(u[:, :5])[0]]
    assert torch.equal(got[0], plain(u)[0])
    [line] = caplog.messages
    assert line.startswith("backend auto takes torch: mamba_ssm's kernel needs CUDA")


@pytest.mark.parametrize(("by_torch", "by_kernel"), [(0.002, 0.001), (0.001, 0.002)])
def test_auto_times_both_once_and_takes_the_faster(
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    by_torch: float,
    by_kernel: float,
) -> None:
    timed = _times(monkeypatch, by_torch, by_kernel)
    model = Mamba2(SMALL.model_copy(update={"backend": "auto"}))
    u = torch.randn(2, 20, 16)
    with caplog.at_level(logging.INFO, "wm.models"):
        model(u)
        model(u)
    assert len(timed) == 2
    taken = "kernel" if by_kernel < by_torch else "torch"
    calls = 2 * SMALL.layers if taken == "kernel" else 0
    assert len(stand.chunks) == 1 + calls  # one in the timing
    [line] = caplog.messages
    assert f"auto takes {taken} for 2 x 20 positions" in line
    assert f"{by_torch * 1e3:.3f} ms by torch against {by_kernel * 1e3:.3f} ms by kernel" in line


def test_auto_times_every_kind_of_call_for_itself(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = _times(monkeypatch, 1.0, 2.0)
    model = Mamba2(SMALL.model_copy(update={"backend": "auto"}))
    u = torch.randn(2, 20, 16)
    _, state = model(u)
    model(u[:, :10])
    model(u[:1])
    model(u, state)
    with torch.no_grad():
        model(u)
    with torch.autocast("cpu", torch.bfloat16):
        model(u)
    assert len(timed) == 2 * 6


def test_timing_leaves_gradients_and_generators_alone(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    _times(monkeypatch, 1.0, 2.0)
    plain = Mamba2(SMALL)
    auto = Mamba2(SMALL.model_copy(update={"backend": "auto"}))
    auto.load_state_dict(plain.state_dict())
    u = torch.randn(2, 20, 16)
    before = torch.get_rng_state()
    for model in (plain, auto):
        model(u)[0].sum().backward()
    assert torch.equal(torch.get_rng_state(), before)
    for want, got in zip(plain.parameters(), auto.parameters(), strict=True):
        assert want.grad is not None
        assert got.grad is not None
        assert torch.equal(got.grad, want.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("length", "given_state"), [(10, False), (60, True), (200, True)])
def test_the_real_kernel_equals_ours(dtype: torch.dtype, length: int, given_state: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    pytest.importorskip("mamba_ssm", exc_type=ImportError)
    x, dt, A, B, C, chunk, state = (
        a.cuda() if isinstance(a, Tensor) else a
        for a in _sequence(length, given_state, heads=12, width=64, n=64, chunk=64)
    )
    want, want_state = ssd(x, dt, A, B, C, chunk, state)
    low = (x.to(dtype), dt, A, B.to(dtype), C.to(dtype), chunk, state)
    got, after = mamba_kernel.scan_of("kernel", ssd)(*low)
    for a, b in ((got, want), (after, want_state)):
        error = (a.float() - b).std() / b.std()
        assert error < (0.02 if dtype == torch.bfloat16 else 0.003)  # 0.003: TF32


def _times(monkeypatch: pytest.MonkeyPatch, by_torch: float, by_kernel: float) -> list[object]:
    """Let timings, each of one call, find these seconds; what has been timed so far."""
    timed: list[object] = []

    def seconds(run: Any) -> float:
        timed.append(run())
        return by_torch if len(timed) % 2 else by_kernel

    monkeypatch.setattr(mamba_kernel, "_seconds", seconds)
    return timed


def _sequence(
    length: int,
    given_state: bool,
    heads: int = 3,
    width: int = 5,
    n: int = 7,
    chunk: int = 8,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, int, Tensor | None]:
    """Arguments of ssd for 2 sequences, x, B and C cut from one tensor as in the block."""
    inner = heads * width
    x, B, C = torch.randn(2, length, inner + 2 * n).split([inner, n, n], dim=-1)
    dt, A = 0.3 * torch.rand(2, length, heads), -torch.empty(heads).uniform_(1, 16)
    state = torch.randn(2, n, heads, width) if given_state else None
    return x.unflatten(-1, (heads, width)), dt, A, B, C, chunk, state
