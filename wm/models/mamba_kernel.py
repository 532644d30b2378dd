"""mamba_ssm's Triton kernel in the place of :func:`wm.models.mamba2.ssd`, where it can run.

Only ``mamba_chunk_scan_combined`` is used, with rates and skip computed by us, so a model's weights
and its :meth:`step` do not know of it. The demand of mamba_ssm's fused block that the number of
heads be a multiple of 8 is causal_conv1d's and does not apply. Checked against 2.3.2: float32 or
bfloat16 in, state in float32; in float32 its products run in TF32 on GPUs that have it, so expect
three digits there. It wants CUDA, backward and all; the package imports only where its own CUDA
extension is built.
"""

# ruff: noqa: N803 -- A, B and C are the paper's names.

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor

from wm.errors import BadConfig

logger = logging.getLogger("wm.models")

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int, Tensor | None], tuple[Tensor, Tensor]]
"""Arguments and results of :func:`wm.models.mamba2.ssd`."""

_MODULE = "mamba_ssm.ops.triton.ssd_combined"
_LEAST_CHUNK = 16
"""Smallest side of a matrix product in Triton."""
_WARM_UP, _REPEATS, _RUNS = 3, 3, 10
"""Calls before a timing (the first compiles and tunes, some 30 s), timings, and calls in each."""

_taken: dict[tuple[Any, ...], Scan] = {}
"""What auto has found faster in this process."""


def scan_of(backend: Literal["torch", "kernel", "auto"], plain: Scan) -> Scan:
    """The form of the state-space sum that a backend stands for; ``plain`` is the one in torch."""
    if backend == "torch":
        return plain
    return partial(_kernel if backend == "kernel" else _faster, plain)


def _kernel(
    plain: Scan,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk: int,
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """``plain`` by the kernel; raises :class:`BadConfig` where it cannot run.

    Its chunks are the power of two next to ``chunk``, or to a shorter sequence's length: a window
    of 10 frames is padded to 16 positions, not to 64.
    """
    if why := _unable(x):
        raise BadConfig(
            f"backend kernel cannot run: {why}",
            hint="take backend: torch (the default), or auto, which takes torch in that case",
        )
    if not x.numel():
        return plain(x, dt, A, B, C, chunk, state)  # the kernel would leave its state unwritten
    size = max(_LEAST_CHUNK, 1 << (min(chunk, x.shape[1]) - 1).bit_length())
    y, after = _load()[0](
        *(x, dt, A, B.unsqueeze(2), C.unsqueeze(2)),
        chunk_size=size,
        initial_states=None if state is None else state.permute(0, 2, 3, 1),  # to [B, H, P, N]
        return_final_states=True,
    )
    return y, after.permute(0, 3, 1, 2)


def _faster(
    plain: Scan,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk: int,
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Whichever was faster when both were timed at the first call of this kind.

    The calls that are timed launch their kernels one by one, so where a captured step replays them
    the other may be faster. Before a capture every kind must have been called once.
    """
    args = (x, dt, A, B, C, chunk, state)
    if why := _unable(x):
        _say(f"backend auto takes torch: {why}")
        return plain(*args)
    trained = torch.is_grad_enabled() and x.requires_grad
    kind = (x.device, x.dtype, x.shape, B.shape[-1], chunk, state is None, trained)
    if kind not in _taken:
        forms: dict[str, Scan] = {"torch": plain, "kernel": partial(_kernel, plain)}
        seconds = {name: _seconds(_trial(form, args, trained)) for name, form in forms.items()}
        best = min(seconds, key=lambda name: seconds[name])
        _taken[kind] = forms[best]
        batch, length, heads, width = x.shape
        _say(
            f"backend auto takes {best} for {batch} x {length} positions of {heads} x {width} "
            f"({'trained' if trained else 'forward alone'}, {x.dtype}, {x.device}): "
            + " against ".join(f"{s * 1e3:.3f} ms by {name}" for name, s in seconds.items())
        )
    return _taken[kind](*args)


def _unable(x: Tensor) -> str:
    """Why the kernel cannot work on a tensor; empty where it can."""
    if not _on_gpu(x):
        return f"mamba_ssm's kernel needs CUDA, and the model is on {x.device}"
    if x.dtype == torch.float64:
        return "mamba_ssm's kernel has no float64"
    return _load()[1]


def _on_gpu(x: Tensor) -> bool:
    return x.is_cuda


@cache
def _load() -> tuple[Callable[..., tuple[Tensor, Tensor]], str]:
    """The kernel, or why there is none.

    Imported at its first use: it takes seconds, and with ``deterministic`` it reads torch's mode
    at import to settle on one fixed configuration.
    """
    try:
        return import_module(_MODULE).mamba_chunk_scan_combined, ""
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        why = (
            f"mamba_ssm cannot be imported ({type(error).__name__}: {error}); install mamba-ssm "
            "with its CUDA extension, against the torch that is here"
        )
        return _missing, why


def _missing(*args: object, **options: object) -> tuple[Tensor, Tensor]:
    raise AssertionError("there is no kernel")


def _trial(form: Scan, args: tuple[Any, ...], trained: bool) -> Callable[[], object]:
    """One call of ``form`` as the model makes it, with the backward pass where it trains."""
    copies: list[Any] = [a.detach() if isinstance(a, Tensor) else a for a in args]
    inputs = [copy.requires_grad_() for copy in copies[:5]] if trained else []

    def run() -> object:
        y, _ = form(*copies)
        return torch.autograd.grad(y, inputs, torch.ones_like(y)) if trained else y

    return run


def _seconds(run: Callable[[], object]) -> float:
    """Seconds of one call among several without a pause, as training makes them; the best of some
    timings."""
    for _ in range(_WARM_UP):
        run()
    found = []
    for _ in range(_REPEATS):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(_RUNS):
            run()
        torch.cuda.synchronize()
        found.append((time.perf_counter() - begun) / _RUNS)
    return min(found)


@cache
def _say(text: str) -> None:
    """Log a line once."""
    logger.info(text)
