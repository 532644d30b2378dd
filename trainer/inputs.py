"""What a step needs to know besides its batch, on the device."""

from __future__ import annotations

import torch


class StepInputs:
    """Numbers that differ from step to step, as tensors: a captured step reads them anew."""

    def __init__(self, device: torch.device) -> None:
        self.rate = torch.zeros((), device=device)
        """Learning rate."""
        self.stop = torch.zeros((), device=device)
        """1 where this process was told to stop."""
        self.weight = torch.zeros((), device=device)
        """Of the new weights in their moving average."""

    def set(self, rate: float, stop: bool, weight: float) -> None:
        """Before a step; nothing waits for the device."""
        self.rate.fill_(rate)
        self.stop.fill_(float(stop))
        self.weight.fill_(weight)
