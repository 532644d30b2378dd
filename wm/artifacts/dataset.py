"""The data set: immutable shards of packed games, and the manifest that vouches for them.

    datasets/<name>/<fingerprint>/manifest.json                    written last
                                  shards/<split>-00000.safetensors
                                  rejects.jsonl                    one verdict a line

A shard holds one tensor per row column ("frames" U8 [N, 104] for Melee; "moves" U16 [N] and
"phases" U8 [N] for chess), "offsets" I64 [G + 1] of its G games, "facts.<name>" I32 [G] and
"identity" U8 [G, 16]. Readers check every shard's SHA-256 against the manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from wm.artifacts.shard import map_shard
from wm.errors import BadData, InputMissing, first_problem
from wm.store.base import NotFound, Store
from wm.store.checksum import file_sha256

FORMAT: Final = 1
"""Version of everything this page describes; part of every fingerprint."""

SPLITS = ("train", "val", "test")

_CHUNK = 8 << 20
_THREADS = 8


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FileInfo(_Part):
    """An object and how to know it again."""

    key: str
    size: int
    """Bytes."""
    sha256: str


class ShardInfo(FileInfo):
    """One shard."""

    games: int
    rows: int
    """Frames or plies."""


class SplitInfo(_Part):
    """One split: its games in order, shard by shard."""

    games: int = 0
    rows: int = 0
    shards: list[ShardInfo] = []


class Inputs(_Part):
    """What the source held."""

    count: int
    """Files; an archive is one."""
    bytes: int
    sha256: str
    """Over the sorted list of (name, content)."""
    names: list[str]
    """The first few, for people."""


class Manifest(_Part):
    """Everything about a data set but its rows. Holds no time: equal inputs give equal bytes."""

    format: Literal[1] = FORMAT
    game: str
    """``melee`` or ``chess``."""
    name: str
    fingerprint: str
    """Over inputs, encoding and format."""
    encoding: dict[str, Any]
    """The resolved configuration, as far as it decides bytes."""
    encoding_sha256: str
    inputs: Inputs
    columns: dict[str, str]
    """Row column -> numpy dtype string of one row."""
    splits: dict[str, SplitInfo]
    """``train``, ``val`` and ``test``, in this order."""
    accepted: int
    """Games."""
    rejects: dict[str, int]
    """Reason -> games (or whole inputs that hold no readable game)."""
    rejects_file: FileInfo
    clipped: dict[str, int]
    """Column -> values that lay outside the column's vocabulary."""
    missing: dict[str, int]
    """Column -> accepted games whose source does not hold it, or holds it less precisely."""

    @property
    def key(self) -> str:
        """``datasets/<name>/<fingerprint>``."""
        return dataset_key(self.name, self.fingerprint)

    @property
    def bytes(self) -> int:
        """Of all shards."""
        return sum(shard.size for shard in self.shards())

    def shards(self) -> Iterator[ShardInfo]:
        """Every shard of every split."""
        return chain.from_iterable(split.shards for split in self.splits.values())


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard, memory-mapped and read-only."""

    info: ShardInfo
    rows: dict[str, NDArray[Any]]
    """Column -> array with N rows: "frames" uint8 [N, 104]; "moves" uint16 [N], "phases" uint8."""
    offsets: NDArray[Any]
    """int64 [G + 1]: game g is rows ``offsets[g]:offsets[g + 1]``."""
    facts: dict[str, NDArray[Any]]
    """Name -> int32 [G]."""
    identity: NDArray[Any]
    """uint8 [G, 16]."""


@dataclass(frozen=True, slots=True)
class Split:
    """The shards of one split, in order."""

    name: str
    games: int
    rows: int
    shards: list[Shard]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set whose every byte has been checked."""

    manifest: Manifest
    splits: dict[str, Split]

    def split(self, name: str) -> Split:
        """``train``, ``val`` or ``test``; a split without games has no shards."""
        return self.splits[name]


def dataset_key(name: str, fingerprint: str) -> str:
    """Where a data set lies."""
    return f"datasets/{name}/{fingerprint}"


def open_dataset(store: Store, key: str, cache: Path) -> Dataset:
    """The data set at ``datasets/<name>/<fingerprint>``, verified and memory-mapped.

    Shards of a remote store are downloaded into the folder ``cache``; those already there with
    the right bytes are used again. Raises InputMissing where the data set or a shard is not
    there, and BadData naming the shard whose bytes differ from the manifest.
    """
    manifest = load_manifest(store, key)
    with ThreadPoolExecutor(_THREADS) as pool:
        shards = iter(list(pool.map(partial(_open_shard, store, cache), manifest.shards())))
    splits = {
        name: Split(name, info.games, info.rows, [next(shards) for _ in info.shards])
        for name, info in manifest.splits.items()
    }
    return Dataset(manifest, splits)


def load_manifest(store: Store, key: str) -> Manifest:
    """The manifest alone; InputMissing where there is none, BadData where it is none."""
    try:
        text = store.get(f"{key}/manifest.json")
    except NotFound:
        raise InputMissing(
            f"there is no data set at {key}", hint="`wmctl data list` shows what there is"
        ) from None
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BadData(
            f"{key}/manifest.json is not a manifest of format {FORMAT}: {first_problem(error)}",
            hint="encode the source again",
        ) from None


def list_datasets(store: Store) -> Iterator[str]:
    """Keys of all finished data sets."""
    for entry in store.list("datasets/"):
        parts = entry.key.split("/")
        if len(parts) == 4 and parts[-1] == "manifest.json":
            yield entry.key.removesuffix("/manifest.json")


def verify_dataset(store: Store, key: str) -> Manifest:
    """Read every object the manifest names and compare size and SHA-256; raises like
    :func:`open_dataset`. Constant memory."""
    manifest = load_manifest(store, key)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(partial(_verify, store), [manifest.rejects_file, *manifest.shards()]))
    return manifest


def _open_shard(store: Store, cache: Path, info: ShardInfo) -> Shard:
    path = _path(store, info)
    if path is not None:
        _verify_file(path, info)
    else:
        path = cache / info.key
        if not (path.is_file() and file_sha256(path) == info.sha256):
            store.download(info.key, path, sha256=info.sha256)
    try:
        tensors = map_shard(path)
    except ValueError as error:
        raise BadData(
            f"{info.key} is not a shard: {error}", hint="encode the source again"
        ) from error
    offsets, identity = tensors.pop("offsets"), tensors.pop("identity")
    facts = {name: tensors.pop(name) for name in list(tensors) if name.startswith("facts.")}
    named = {name.removeprefix("facts."): values for name, values in facts.items()}
    return Shard(info, tensors, offsets, named, identity)


def _verify(store: Store, info: FileInfo) -> None:
    path = _path(store, info)
    if path is not None:
        return _verify_file(path, info)
    digest = hashlib.sha256()
    for start in range(0, info.size, _CHUNK):
        digest.update(store.open_range(info.key, start, min(start + _CHUNK, info.size)))
    if digest.hexdigest() != info.sha256:
        raise _differs(info)
    return None


def _path(store: Store, info: FileInfo) -> Path | None:
    """The object's own file, where the store has such; its size is checked either way."""
    entry = store.head(info.key)
    if entry is None:
        raise InputMissing(
            f"{info.key} is named by its manifest but not there",
            hint="delete the data set's folder and encode the source again",
        )
    if entry.size != info.size:
        raise _differs(info)
    return store.path(info.key)


def _verify_file(path: Path, info: FileInfo) -> None:
    if file_sha256(path) != info.sha256:
        raise _differs(info)


def _differs(info: FileInfo) -> BadData:
    return BadData(
        f"{info.key} differs from its manifest",
        hint="delete the data set's folder and encode the source again",
    )
