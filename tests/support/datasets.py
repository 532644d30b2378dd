"""Small data sets, published as the encoder would, for tests of whoever reads them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence

import numpy as np

from wm.artifacts.dataset import (
    SPLITS,
    FileInfo,
    Inputs,
    Manifest,
    ShardInfo,
    SplitInfo,
    dataset_key,
)
from wm.artifacts.shard import write_shard
from wm.games.game import Game
from wm.store import Store


def publish_dataset(
    store: Store,
    game: str,
    shards: Mapping[str, Sequence[Sequence[Game]]],
    *,
    name: str = "tiny",
    fingerprint: str = "f00d",
) -> str:
    """Publish games as split -> shards -> games; returns the data set's key."""
    key = dataset_key(name, fingerprint)
    splits = {split: _split(store, key, split, shards.get(split, [])) for split in SPLITS}
    games = [g for parts in shards.values() for part in parts for g in part]
    store.put(f"{key}/rejects.jsonl", b"")
    manifest = Manifest(
        game=game,
        name=name,
        fingerprint=fingerprint,
        encoding={"game": game},
        encoding_sha256="0" * 64,
        inputs=Inputs(count=len(games), bytes=0, sha256="0" * 64, names=[]),
        columns={name: array.dtype.str for name, array in games[0].rows.items()},
        splits=splits,
        accepted=len(games),
        rejects={},
        rejects_file=FileInfo(
            key=f"{key}/rejects.jsonl", size=0, sha256=hashlib.sha256(b"").hexdigest()
        ),
        clipped={},
        missing={},
    )
    store.put(f"{key}/manifest.json", manifest.model_dump_json(indent=1).encode())
    return key


def _split(store: Store, key: str, split: str, parts: Sequence[Sequence[Game]]) -> SplitInfo:
    infos = []
    for number, games in enumerate(parts):
        stream = io.BytesIO()
        digest = write_shard(stream, _tensors(games))
        shard_key = f"{key}/shards/{split}-{number:05d}.safetensors"
        store.put(shard_key, stream.getvalue())
        infos.append(
            ShardInfo(
                key=shard_key,
                size=len(stream.getvalue()),
                sha256=digest,
                games=len(games),
                rows=sum(map(len, games)),
            )
        )
    return SplitInfo(
        games=sum(i.games for i in infos), rows=sum(i.rows for i in infos), shards=infos
    )


def _tensors(games: Sequence[Game]) -> dict[str, list[np.ndarray]]:
    rows = {name: [_plain(g.rows[name]) for g in games] for name in games[0].rows}
    facts = {
        f"facts.{name}": [np.array([g.facts[name] for g in games], "<i4")]
        for name in games[0].facts
    }
    offsets = np.cumsum([0, *map(len, games)], dtype="<i8")
    identity = np.frombuffer(b"".join(bytes.fromhex(g.identity) for g in games), np.uint8)
    return {**rows, **facts, "offsets": [offsets], "identity": [identity.reshape(-1, 16)]}


def _plain(rows: np.ndarray) -> np.ndarray:
    return rows.view(np.uint8).reshape(len(rows), -1) if rows.dtype.names else rows
