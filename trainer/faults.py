"""Failures that torch reports in its own way, in the words of the exit-code contract."""

from __future__ import annotations

import torch

from wm.errors import BadConfig, Exit, WmError


class DeviceFault(WmError):
    """The accelerator failed (161)."""

    code = Exit.DEVICE_FAULT


class PeerLost(WmError):
    """Another training process ended, so this one cannot go on; what ended that one is the news."""


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
    if isinstance(error, RuntimeError) and any(sign in text for sign in _LOST):
        return PeerLost("another training process is gone")
    return None


_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Connection refused",
)
"""What gloo and the rendezvous store say when the other side is gone."""
