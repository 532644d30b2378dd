"""What a batch is where its game does not matter: a tensor, or tuples and dataclasses of such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor


def tensors(batch: Any) -> Iterator[Tensor]:
    """Every tensor of a batch."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, tuple):
        for part in batch:
            yield from tensors(part)
    elif is_dataclass(batch):
        for field in fields(batch):
            yield from tensors(getattr(batch, field.name))
    else:
        raise TypeError(f"a batch cannot hold a {type(batch).__name__}")


def split(batch: Any, parts: int) -> list[Any]:
    """Consecutive parts of a batch of tensors that share their first dimension."""
    if parts == 1:
        return [batch]
    if isinstance(batch, Tensor):
        return list(torch.tensor_split(batch, parts))
    if is_dataclass(batch) and not isinstance(batch, type):
        names = [field.name for field in fields(batch)]
        columns = [split(getattr(batch, name), parts) for name in names]
        rows = zip(*columns, strict=True)
        return [replace(batch, **dict(zip(names, row, strict=True))) for row in rows]
    return [type(batch)(*row) for row in zip(*(split(part, parts) for part in batch), strict=True)]
