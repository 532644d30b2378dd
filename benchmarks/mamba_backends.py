"""Frames per second of every form of Mamba-2, forward and backward, all in one run.

    PYTHONPATH=. python benchmarks/mamba_backends.py [--threads 2] [TABLE ...]

The scan alone at 12 heads of 64 and states of 64, the four blocks of the 4.3M model, and the parts
of one block; on CUDA also mamba_ssm's kernel and torch.compile. With one thread on a CPU, seconds
are those of the CPU, which other processes disturb less: all tables take 85 of them, and 4 GB.
"""

# ruff: noqa: N803, N806 -- A, B and C are the paper's names.

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from wm.errors import BadConfig
from wm.models.config import Mamba2Config
from wm.models.mamba2 import Mamba2, Mamba2Block, ssd
from wm.models.mamba_kernel import Scan, scan_of

SHAPES = ((256, 10), (64, 60), (16, 128), (8, 512))
"""Sequences and positions of the scan alone: the first two and the last are the facts sheet's."""
MODEL_SHAPES = ((64, 10), (16, 60), (16, 128), (4, 512))
HEADS, WIDTH, STATES, CHUNK = 12, 64, 64, 64
RUNS = 2
"""Timed runs after one warm-up; the best counts."""

Run = Callable[[], object]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tables = {
        "scan": partial(scans, device),
        "models": partial(models, device, low=False),
        "models-bf16": partial(models, device, low=True),
        "parts": partial(parts, device, low=False),
        "parts-bf16": partial(parts, device, low=True),
    }
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"some of {', '.join(tables)}")
    options = parser.parse_args()
    if unknown := set(options.tables) - tables.keys():
        parser.error(f"there is no table {', '.join(sorted(unknown))}")
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "no CUDA here"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {name}")
    for table in options.tables or tables:
        tables[table]()


def scans(device: torch.device) -> None:
    """The state-space sum alone."""
    forms: dict[str, Scan] = {
        "sequential loop": loop,
        "one chunk": partial(_with_chunk, 10**9),
        f"chunks of {CHUNK}": ssd,
    }
    if device.type == "cuda":
        forms["kernel"] = scan_of("kernel", ssd)
        forms[f"chunks of {CHUNK}, compiled"] = torch.compile(ssd)
    rows: dict[str, list[float | None]] = {name: [] for name in forms}
    for batch, length in SHAPES:
        wide = torch.randn(batch, length, HEADS * WIDTH + 2 * STATES, device=device)
        dt = (0.1 * torch.rand(batch, length, HEADS, device=device)).requires_grad_()
        A = (-1 - 15 * torch.rand(HEADS, device=device)).requires_grad_()
        wide.requires_grad_()

        def run(form: Scan, wide: Tensor = wide, dt: Tensor = dt, A: Tensor = A) -> object:
            x, B, C = wide.split([HEADS * WIDTH, STATES, STATES], -1)
            y, _ = form(x.unflatten(-1, (HEADS, WIDTH)), dt, A, B, C, CHUNK, None)
            return torch.autograd.grad(y.sum(), [wide, dt, A])

        for name, form in forms.items():
            rows[name].append(_rate(partial(run, form), batch * length))
    _table("scan alone, fp32, frames/s", SHAPES, rows)


def models(device: torch.device, low: bool) -> None:
    """Four blocks of width 384, of which the loop keeps too much at 128 positions and more."""
    model = Mamba2(Mamba2Config()).to(device)
    one = Mamba2(Mamba2Config(chunk=10**9)).to(device)
    forms: dict[str, Callable[[Tensor], object]] = {
        "step by step": partial(_stepped, model),
        "one chunk": one,
        f"chunks of {CHUNK}": model,
    }
    if device.type == "cuda":
        forms["kernel"] = Mamba2(Mamba2Config(backend="kernel")).to(device)
        forms[f"chunks of {CHUNK}, compiled"] = torch.compile(model)
    rows: dict[str, list[float | None]] = {name: [] for name in forms}
    for batch, length in MODEL_SHAPES:
        u = torch.randn(batch, length, 384, device=device)

        def run(form: Callable[[Tensor], object], u: Tensor = u) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=low):
                y = form(u)
            (y[0] if isinstance(y, tuple) else y).sum().backward()

        for name, form in forms.items():
            skipped = name == "step by step" and length > 60
            rows[name].append(None if skipped else _rate(partial(run, form), batch * length))
    _table(f"four blocks, {'bf16' if low else 'fp32'}, frames/s", MODEL_SHAPES, rows)


def parts(device: torch.device, low: bool) -> None:
    """Where one block's time goes at 16 x 128 positions."""
    block = Mamba2Block(Mamba2Config()).to(device)
    inner, channels = HEADS * WIDTH, HEADS * WIDTH + 2 * STATES
    dtype = torch.bfloat16 if low else torch.float32

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype, requires_grad=True)

    u, y, z = random(16, 128, 384), random(16, 128, inner), random(16, 128, inner)
    window, x = random(16, 131, channels), random(16, 128, HEADS, WIDTH)
    B, C = random(16, 128, STATES), random(16, 128, STATES)
    dt, A = torch.full((16, 128, HEADS), 0.05, device=device), block.A_log.detach().exp().neg()
    dt.requires_grad_()
    A.requires_grad_()
    runs: dict[str, tuple[Callable[[], Tensor], list[Tensor]]] = {
        "in_proj": (lambda: block.in_proj(u), [u, block.in_proj.weight]),
        "conv": (lambda: block._convolve(window, 128), [window, block.conv1d.weight]),
        "ssd": (lambda: ssd(x, dt, A, B, C, CHUNK, None)[0], [x, dt, A, B, C]),
        "gate and norm": (lambda: block.norm(y * F.silu(z)), [y, z, block.norm.weight]),
        "out_proj": (lambda: block.out_proj(y), [y, block.out_proj.weight]),
        "whole block": (lambda: block(u)[0], [u, *block.parameters()]),
    }
    print(f"\none block at 16 x 128, {'bf16' if low else 'fp32'}, ms   forward   and backward")
    for name, (form, inputs) in runs.items():

        def both(
            form: Callable[[], Tensor] = form, inputs: Sequence[Tensor] = tuple(inputs)
        ) -> None:
            torch.autograd.grad(form().sum(), inputs)

        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            seconds = [_seconds(form), _seconds(both)]
        print(f"  {name:<38}" + "".join(f"{s * 1e3:10.1f}" for s in seconds))


def loop(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The recurrence as the paper writes it, position by position."""
    h = x.new_zeros(len(x), STATES, *x.shape[2:]) if state is None else state
    outputs = []
    for t in range(x.shape[1]):
        added = B[:, t, :, None, None] * (dt[:, t, :, None] * x[:, t]).unsqueeze(1)
        h = torch.addcmul(added, h, (dt[:, t] * A).exp()[:, None, :, None])
        outputs.append((C[:, t].unsqueeze(1) @ h.flatten(2)).view_as(x[:, t]))
    return torch.stack(outputs, 1), h


def _with_chunk(
    size: int,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk: int,
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    return ssd(x, dt, A, B, C, size, state)


def _stepped(model: Mamba2, u: Tensor) -> Tensor:
    state, outputs = model.initial_state(len(u)), []
    for t in range(u.shape[1]):
        y, state = model.step(u[:, t], state)
        outputs.append(y)
    return torch.stack(outputs, 1)


def _rate(run: Run, frames: int) -> float | None:
    """Frames per second; None where the kernel cannot run."""
    try:
        return frames / _seconds(run)
    except BadConfig as error:
        print(error.message)
        return None


def _seconds(run: Run) -> float:
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    clock = time.process_time if alone else time.perf_counter
    found = []
    for _ in range(1 + RUNS):
        _wait()
        begun = clock()
        run()
        _wait()
        found.append(clock() - begun)
    return min(found[1:])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _table(
    title: str, shapes: Sequence[tuple[int, int]], rows: dict[str, list[float | None]]
) -> None:
    print(f"\n{title:<32}" + "".join(f"{f'B{b} L{n}':>12}" for b, n in shapes))
    for name, rates in rows.items():
        cells = ("-" if rate is None else f"{rate:,.0f}" for rate in rates)
        print(f"  {name:<30}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
