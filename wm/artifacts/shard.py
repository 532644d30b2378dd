"""One shard: a safetensors file that is written array by array and read by memory map.

The carrier is the plain safetensors layout (8-byte little-endian header length, JSON header, raw
data; https://github.com/huggingface/safetensors#format), so any safetensors reader opens a shard.
The library itself cannot write a tensor in parts or give views of a mapped file, hence this module.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TYPES = {"I64": "<i8", "I32": "<i4", "U16": "<u2", "U8": "|u1"}
"""safetensors name -> numpy dtype of every type a shard may hold, widest first."""

_NAMES = {dtype: name for name, dtype in TYPES.items()}
_ORDER = list(TYPES)
_LENGTH = 8


def write_shard(stream: BinaryIO, tensors: Mapping[str, Sequence[Array]], meta: str = "") -> str:
    """Write tensors given as parts to be joined along axis 0; returns the SHA-256 (hex).

    Wide types go first, so that every tensor is aligned in the file and can be viewed in place.
    ``meta`` is kept as the header's ``__metadata__.note``.
    """
    order = sorted(tensors, key=lambda name: (_ORDER.index(_type(tensors[name])), name))
    digest = hashlib.sha256()
    for piece in _pieces(tensors, order, meta):
        digest.update(piece)
        stream.write(piece)
    return digest.hexdigest()


def view_shard(data: Array) -> tuple[dict[str, Array], str]:
    """Tensors as views of a shard's bytes (uint8, 1-D), and its note; copies nothing.

    Raises ValueError where the bytes are no shard.
    """
    if len(data) < _LENGTH:
        raise ValueError("too short for a shard")
    length = int(data[:_LENGTH].view("<u8")[0])
    if length > len(data) - _LENGTH:
        raise ValueError("the header is cut off")
    header = json.loads(data[_LENGTH : _LENGTH + length].tobytes())
    note = header.pop("__metadata__", {}).get("note", "")
    body = data[_LENGTH + length :]
    return {name: _tensor(body, entry) for name, entry in header.items()}, note


def map_shard(path: Path) -> dict[str, Array]:
    """Read-only tensors over a memory map of the file; ValueError where it is no shard."""
    tensors, _ = view_shard(np.memmap(path, np.uint8, "r"))
    return tensors


def _type(parts: Sequence[Array]) -> str:
    return _NAMES[parts[0].dtype.str]


def _pieces(tensors: Mapping[str, Sequence[Array]], order: list[str], meta: str) -> Any:
    header: dict[str, Any] = {"__metadata__": {"note": meta}} if meta else {}
    end = 0
    for name in order:
        start, end = end, end + sum(part.nbytes for part in tensors[name])
        shape = [sum(len(part) for part in tensors[name]), *tensors[name][0].shape[1:]]
        kind = _type(tensors[name])
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    yield len(text).to_bytes(_LENGTH, "little") + text
    for name in order:
        for part in tensors[name]:
            yield np.ascontiguousarray(part).reshape(-1).view(np.uint8).data


def _tensor(body: Array, entry: dict[str, Any]) -> Array:
    start, stop = entry["data_offsets"]
    dtype = np.dtype(TYPES[entry["dtype"]])
    if not 0 <= start <= stop <= len(body):
        raise ValueError("a tensor lies outside the file")
    if stop - start != math.prod(entry["shape"]) * dtype.itemsize:
        raise ValueError("a tensor's shape does not fit its bytes")
    return body[start:stop].view(dtype).reshape(entry["shape"])
