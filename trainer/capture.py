"""A whole training step as one CUDA graph: one launch instead of some hundred.

At these sizes a GPU finishes kernels faster than a host launches them. What is captured is forward,
loss, backward, all-reduce, clipping, AdamW and the average; batch, rate and seed are read anew at
every replay. It fits steps whose batches all have one shape, which those of Melee have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainer.batch import tensors
from wm.errors import BadConfig

logger = logging.getLogger("wm.trainer")

REHEARSALS = 3
"""Steps on a side stream before the capture, as torch asks for; they change no weight."""


class CapturedStep:
    """Replays ``learn``, which is captured at the first call, on later batches.

    A step that cannot be captured raises what torch says of it; there is no silent way round.
    """

    def __init__(self) -> None:
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Any = None
        self._figures: Tensor | None = None

    def __call__(
        self, batch: Any, learn: Callable[[Any], Tensor], rehearse: Callable[[Any], None]
    ) -> Tensor:
        """The figures of a step with ``batch``, as ``learn`` would return them."""
        if self._graph is None:
            self._capture(batch, learn, rehearse)
        assert self._graph is not None
        assert self._figures is not None
        for own, new in zip(tensors(self._batch), tensors(batch), strict=True):
            if own.shape != new.shape:
                raise BadConfig(
                    f"a batch of shape {tuple(new.shape)} does not fit the captured step, whose "
                    f"batches have {tuple(own.shape)}",
                    hint="take cuda_graph: false",
                )
            own.copy_(new)
        self._graph.replay()
        return self._figures.clone()

    def _capture(
        self, batch: Any, learn: Callable[[Any], Tensor], rehearse: Callable[[Any], None]
    ) -> None:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(REHEARSALS):
                rehearse(batch)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # The thread that makes the next batch allocates and copies meanwhile, on its own stream.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            captured = torch.cuda.is_current_stream_capturing()
            figures = learn(batch)
        if not captured:
            raise BadConfig("the step was not captured", hint="take cuda_graph: false")
        self._graph, self._batch, self._figures = graph, batch, figures
        logger.info("every step is one CUDA graph from now on")
