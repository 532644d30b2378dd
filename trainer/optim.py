"""What turns gradients into weights: AdamW, its rate over time, and the average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from trainer.config import TrainConfig


class Optimizer:
    """AdamW, whose weight decay is for matrices alone: not for biases, norms, embeddings, nor for
    what is marked ``_no_weight_decay``.

    torch's kernels, without its Optimizer class: that imports the compiler, and every start of a
    training would wait 1.2 s for it.
    """

    def __init__(self, config: TrainConfig, model: nn.Module) -> None:
        self._names = [name for name, _ in model.named_parameters()]
        self._parameters = list(model.parameters())
        self._steps = [torch.zeros((), device=p.device) for p in self._parameters]
        self._means = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        self.decays = [
            config.weight_decay
            if p.ndim > 1 and id(p) not in embeddings and not hasattr(p, "_no_weight_decay")
            else 0.0
            for p in self._parameters
        ]
        """Weight decay of each parameter, in the model's order."""

    @torch.no_grad()
    def step(self, rate: Tensor, figures: Tensor) -> None:
        """Update the weights by their gradients at learning rate ``rate``.

        Where any of ``figures`` is not finite, nothing is changed; nobody has to wait to see that.
        """
        unsound = figures.isfinite().all().logical_not().float()
        for decay in sorted(set(self.decays)):
            chosen = [i for i, own in enumerate(self.decays) if own == decay]
            grads = [self._parameters[i].grad for i in chosen]
            adamw(
                [self._parameters[i] for i in chosen],
                [grad for grad in grads if grad is not None],
                [self._means[i] for i in chosen],
                [self._squares[i] for i in chosen],
                [],
                [self._steps[i] for i in chosen],
                fused=True,
                found_inf=unsound,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate,
                weight_decay=decay,
                eps=1e-8,
                maximize=False,
            )

    def tensors(self) -> dict[str, Tensor]:
        """The state by name, live: what is copied into it is gone on from."""
        state = {"step": self._steps, "exp_avg": self._means, "exp_avg_sq": self._squares}
        return {
            f"{name}.{part}": tensor
            for part, tensors in state.items()
            for name, tensor in zip(self._names, tensors, strict=True)
        }


class Schedule:
    """Learning rate of each step: linear warm-up, then cosine, plateau or constant."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._steps = config.schedule_steps or config.steps
        self._warm = round(config.warmup * self._steps)
        self._factor = 1.0
        self._best = math.inf
        self._waited = 0

    def rate(self, step: int) -> float:
        """Rate of the update that follows ``step`` updates."""
        config = self._config
        if step < self._warm:
            return config.lr * (step + 1) / self._warm
        if config.schedule == "cosine":
            part = min(1.0, (step - self._warm) / max(1, self._steps - self._warm))
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
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN wants one piece of memory, which copies are not

    def weight(self, step: int) -> float:
        """Of the weights after update number ``step`` (from 0) in the average."""
        return 1 - min(self._decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, model: nn.Module, weight: Tensor) -> None:
        """Move towards the weights of ``model``, by ``weight`` of the way."""
        averaged: list[Tensor] = list(self.model.parameters())
        new: list[Tensor] = list(model.parameters())
        way = list(torch._foreach_sub(new, averaged))
        torch._foreach_mul_(way, weight)
        torch._foreach_add_(averaged, way)
