"""What turns gradients into weights: AdamW, its rate over time, and the average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from trainer.config import TrainConfig


def make_optimizer(config: TrainConfig, model: nn.Module) -> AdamW:
    """AdamW that decays matrices only, and none marked ``_no_weight_decay``."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for parameter in model.parameters():
        exempt = getattr(parameter, "_no_weight_decay", False) or id(parameter) in embeddings
        (free if exempt or parameter.ndim < 2 else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    fused = next(model.parameters()).is_cuda
    return AdamW([g for g in groups if g["params"]], lr=config.lr, fused=fused, foreach=not fused)


class Schedule:
    """Learning rate of each step: linear warm-up, then cosine, plateau or constant."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._warm = round(config.warmup * config.steps)
        self._factor = 1.0
        self._best = math.inf
        self._waited = 0

    def rate(self, step: int) -> float:
        """Rate of the update that follows ``step`` updates."""
        config = self._config
        if step < self._warm:
            return config.lr * (step + 1) / self._warm
        if config.schedule == "cosine":
            part = (step - self._warm) / max(1, config.steps - self._warm)
            share = config.lr_floor + (1 - config.lr_floor) * (1 + math.cos(math.pi * part)) / 2
            return config.lr * share
        return config.lr * max(self._factor, config.lr_floor)

    def observe(self, loss: float) -> None:
        """Take note of a held-out loss, the same on every process."""
        if self._config.schedule != "plateau":
            return
        if loss < self._best - 1e-4:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited > self._config.plateau_patience:
            self._factor, self._waited = self._factor * self._config.plateau_factor, 0

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs, as JSON."""
        best = None if math.isinf(self._best) else self._best
        return {"factor": self._factor, "best": best, "waited": self._waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self._factor, self._waited = state["factor"], state["waited"]
        self._best = math.inf if state["best"] is None else state["best"]


class Ema:
    """Exponential moving average of a model's weights.

    The decay rises to ``config.ema`` as min(ema, (1 + n) / (10 + n)) after n updates, so that the
    average of a short training does not consist of its initial weights.
    """

    def __init__(self, config: TrainConfig, model: nn.Module) -> None:
        self._decay = config.ema
        self.model = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the weights of ``model`` after update number ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averaged, list(model.parameters()), 1 - decay)
