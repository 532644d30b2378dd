"""One update of the weights: a function of the weights, the seed and the step's number."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trainer.config import TrainConfig
from trainer.counter import bits
from trainer.task import TaskLoss
from trainer.training import Training

logger = logging.getLogger("wm.trainer")


def make_update(t: Training, step: int, batch: Any) -> Tensor:
    """Make update number ``step`` with its batch.

    Returns its figures, float [4] on the device (:class:`trainer.updates.Unread`). Where loss or
    gradient is not finite the weights stay as they are, and whoever reads the figures finds out.
    """
    weight = t.ema.weight(step) if t.ema else 0.0
    t.inputs.set(t.schedule.rate(step), t.stopping.asked, weight)
    seed_step(t, step)
    if t.captured is not None:
        return t.captured(batch, partial(_learn, t, step), partial(_rehearse, t, step))
    return _learn(t, step, batch)


def _learn(t: Training, step: int, batch: Any) -> Tensor:
    """All that the device does in a step; ``step`` only names it where memory runs out."""
    loss, count = backward(t, step, batch)
    figures = t.gradients.combine(loss, count, t.inputs.stop)
    t.gradients.clip(figures[-1], t.config.clip)
    t.optimizer.step(t.inputs.rate, figures)
    t.gradients.clear()
    if t.ema:
        t.ema.update(t.model, t.inputs.weight)
    return figures


def backward(t: Training, step: int, batch: Any) -> tuple[Tensor, Tensor]:
    """Add this process's gradient to the parameters' ``grad``; the sums of loss and targets."""

    def again(parts: int) -> None:
        t.gradients.clear()
        seed_step(t, step)
        t.log.write("parts", step + 1, parts=parts)
        logger.info(
            "step %d: the device has too little memory for this process's share of a batch, which "
            "is worked through in %d parts from now on",
            *(step + 1, parts),
        )

    def loss_of(part: Any) -> TaskLoss:
        with autocast(t.config, t.team.device):
            return t.loss(part)

    return t.parts.backward(batch, loss_of, again)


def _rehearse(t: Training, step: int, batch: Any) -> None:
    """A step that changes nothing: kernels are chosen and compiled, connections opened."""
    loss, count = backward(t, step, batch)
    figures = t.gradients.combine(loss, count, t.inputs.stop)
    t.optimizer.step(t.inputs.rate, torch.full_like(figures, torch.nan))  # which it leaves out
    t.gradients.clear()
    seed_step(t, step)


def seed_step(t: Training, step: int) -> None:
    """Seed torch's generators for one step: there is no random state to carry from step to step."""
    torch.manual_seed(int(bits(t.config.seed, "torch", step, t.team.rank)[0] >> 1))


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 for activations where it is wanted and the hardware has it."""
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if config.precision == "bf16" or (config.precision == "auto" and able):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
