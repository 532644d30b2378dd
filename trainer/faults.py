"""Failures that torch reports in its own way, in the words of the exit-code contract."""

from __future__ import annotations

import re

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
    said = text.partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError) or "_STATUS_ALLOC_FAILED" in text:
        return BadConfig(
            f"the GPU's memory is too small: {said}",
            hint="lower batch or length, or take more processes",
        )
    if isinstance(error, torch.AcceleratorError) or _LIBRARY.search(text):
        return DeviceFault(f"the GPU failed: {said}")
    if type(error).__module__.startswith(_COMPILER):
        return BadConfig(
            f"compile is set, and the compiler failed: {said}",
            hint="install a C++ compiler (g++) where the training runs, or take compile: false",
        )
    lost = isinstance(error, (dist.DistNetworkError, dist.DistStoreError))
    if lost or (isinstance(error, RuntimeError) and any(sign in text for sign in _LOST)):
        return PeerLost("another training process is gone")
    if isinstance(error, dist.DistBackendError):
        return DeviceFault(f"the GPUs could not reach each other: {said}")
    return None


_LIBRARY = re.compile(r"(CUBLAS|CUDNN)_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|NOT_INITIALIZED)")
"""What cuBLAS and cuDNN say where it is not the caller's fault; torch raises a RuntimeError."""
_COMPILER = ("torch._inductor", "torch._dynamo")
"""Where the errors of torch.compile come from. By name: to import them takes a second."""
_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Connection refused",
    "remote process exit",  # NCCL's ncclRemoteError
)
"""What gloo, NCCL and the rendezvous store say when the other side is gone."""
