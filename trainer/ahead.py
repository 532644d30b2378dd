"""Batches that are made while the device is busy with the one before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from trainer.batch import tensors


class _Made(NamedTuple):
    step: int
    batch: Future[Any]


class Ahead:
    """``take(step)`` is ``make(step)``; on CUDA one thread makes the next batch meanwhile.

    Its copies to the device run on a stream of their own. On a CPU a thread would only take the
    cores away from the update, so there each batch is made when it is asked for.
    """

    def __init__(
        self, make: Callable[[int], Any], device: torch.device, threaded: bool | None = None
    ) -> None:
        self._make = make
        self._cuda = device if device.type == "cuda" else None
        self._stream = torch.cuda.Stream(device) if self._cuda else None  # type: ignore[no-untyped-call]
        self._thread = (
            ThreadPoolExecutor(1, "batches")
            if (self._cuda if threaded is None else threaded)
            else None
        )
        self._next: _Made | None = None

    def take(self, step: int, last: bool) -> Any:
        """Batch number ``step``; ``last`` says that none is wanted after it."""
        if self._thread is None:
            return self._make(step)
        made = self._next if self._next and self._next.step == step else self._begin(step)
        batch = made.batch.result()
        self._next = None if last else self._begin(step + 1)
        if self._stream is not None:
            current = torch.cuda.current_stream(self._cuda)
            for tensor in tensors(batch):
                tensor.record_stream(current)  # its memory must not be had again before that
        return batch

    def _begin(self, step: int) -> _Made:
        assert self._thread is not None
        return _Made(step, self._thread.submit(self._on_stream, step))

    def _on_stream(self, step: int) -> Any:
        if self._stream is None:
            return self._make(step)
        with torch.cuda.stream(self._stream):
            batch = self._make(step)
        self._stream.synchronize()  # here, so that whoever takes the batch need not wait for it
        return batch
