"""Failures that torch reports in its own way, in the words of the exit-code contract."""

from __future__ import annotations

import torch
import torch.distributed as dist

from wm.errors import BadConfig, Exit, WmError


class DeviceFault(WmError):
    """The accelerator failed (161)."""

    code = Exit.DEVICE_FAULT


class PeerLost(WmError):
    """Another training process ended, so this one stands still (160); how that one ended is the
    news."""

    code = Exit.HANG


def classify(error: Exception) -> WmError | None:
    """The failure as people and the contract know it, or None where it is a bug."""
    if isinstance(error, WmError):
        return error
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return BadConfig(
            f"the GPU's memory is too small: {text.splitlines()[0]}",
            hint="lower batch or length, or take more processes",
        )
    if isinstance(error, torch.AcceleratorError):
        return DeviceFault(f"the GPU failed: {text.splitlines()[0]}")
    if type(error).__module__.startswith(_COMPILER):
        return BadConfig(
            f"compile is set, and the compiler failed: {text.splitlines()[0]}",
            hint="install a C++ compiler (g++) where the training runs, or take compile: false",
        )
    lost = isinstance(error, (dist.DistNetworkError, dist.DistStoreError))
    if lost or (isinstance(error, RuntimeError) and any(sign in text for sign in _LOST)):
        return PeerLost("another training process is gone")
    return None


_COMPILER = ("torch._inductor", "torch._dynamo")
"""Where the errors of torch.compile come from. By name: to import them takes a second."""
_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Connection refused",
    "remote process exited",
)
"""What gloo, NCCL and the rendezvous store say when the other side is gone."""
