"""Checkpoints: what a training needs to go on as if nothing had happened.

``runs/<run>/<stage>/<attempt>/checkpoints/step-000123/{state.safetensors, state.json,
manifest.json}``. The manifest is written last and holds the size and SHA-256 of the other two; a
folder without one is a checkpoint that was never finished, and does not exist for readers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData, first_problem
from wm.store import NotFound, Store

logger = logging.getLogger("wm.artifacts.checkpoint")

FORMAT = 1
TENSORS, STATE, MANIFEST = "state.safetensors", "state.json", "manifest.json"


class CheckpointFile(BaseModel):
    """One file of a checkpoint."""

    model_config = ConfigDict(extra="forbid")

    size: int
    """Bytes."""
    sha256: str


class CheckpointManifest(BaseModel):
    """``manifest.json`` of a checkpoint."""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    step: int
    """Updates done."""
    files: dict[str, CheckpointFile]


@dataclass(frozen=True)
class Checkpoint:
    """A training's state after ``step`` updates."""

    key: str
    """Folder in the store."""
    step: int
    tensors: dict[str, NDArray[Any]]
    state: dict[str, Any]
    """Everything that is no tensor; plain JSON."""


def save_checkpoint(
    store: Store, attempt: str, step: int, tensors: dict[str, NDArray[Any]], state: dict[str, Any]
) -> str:
    """Publish a checkpoint under the key prefix of an attempt; returns its folder.

    The two files go first and the manifest last, so that a kill between leaves nothing that a
    reader would take for a checkpoint.
    """
    from safetensors.numpy import save

    folder = f"{attempt}/checkpoints/step-{step:06d}"
    parts = {TENSORS: save(tensors), STATE: json.dumps(state).encode()}
    for name, data in parts.items():
        store.put(f"{folder}/{name}", data)
    manifest = CheckpointManifest(
        step=step,
        files={
            name: CheckpointFile(size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in parts.items()
        },
    )
    store.put(f"{folder}/{MANIFEST}", manifest.model_dump_json(indent=1).encode())
    return folder


def newest_checkpoint(
    store: Store, run: str, stage: str, *, at_most: int | None = None
) -> Checkpoint | None:
    """The newest whole checkpoint over all attempts of a stage, or None.

    With ``at_most``, the newest of those after at most so many updates. A damaged one costs one
    warning, and the one before it is taken.
    """
    for folder in _finished(store, run, stage):
        if at_most is not None and _step(folder) > at_most:
            continue
        try:
            return _load(store, folder)
        except (BadData, NotFound) as error:
            logger.warning("checkpoint %s is damaged and skipped: %s", folder, error.message)
    return None


def prune_checkpoints(store: Store, run: str, stage: str, keep: int) -> None:
    """Delete a stage's checkpoints but the ``keep`` newest whole ones (and what is still in work).

    A manifest goes first, so that a half-deleted checkpoint is not one.
    """
    finished = _finished(store, run, stage)
    if not finished:
        return
    kept = set(finished[:keep])
    for folder in _folders(store, run, stage):
        if folder in kept or _step(folder) > _step(finished[0]):
            continue
        for name in (MANIFEST, STATE, TENSORS):
            store.delete(f"{folder}/{name}")


def _finished(store: Store, run: str, stage: str) -> list[str]:
    """Folders with a manifest, newest first: by step, then by attempt."""
    folders = [f for f, names in _folders(store, run, stage).items() if MANIFEST in names]
    return sorted(folders, key=lambda folder: (_step(folder), folder), reverse=True)


def _folders(store: Store, run: str, stage: str) -> dict[str, set[str]]:
    """Folder -> names of its files, over all attempts."""
    folders: dict[str, set[str]] = {}
    for entry in store.list(f"runs/{run}/{stage}/"):
        if match := _FILE.fullmatch(entry.key):
            folders.setdefault(match["folder"], set()).add(match["name"])
    return folders


def _load(store: Store, folder: str) -> Checkpoint:
    from safetensors.numpy import load

    try:
        manifest = CheckpointManifest.model_validate_json(store.get(f"{folder}/{MANIFEST}"))
    except ValidationError as error:
        raise BadData(f"its manifest is unreadable ({first_problem(error)})") from error
    if manifest.format != FORMAT or manifest.step != _step(folder):
        raise BadData("its manifest is another's")
    data = {
        name: store.get(f"{folder}/{name}", sha256=file.sha256)
        for name, file in manifest.files.items()
    }
    if data.keys() != {TENSORS, STATE}:
        raise BadData("its manifest does not name its files")
    return Checkpoint(folder, manifest.step, load(data[TENSORS]), json.loads(data[STATE]))


def _step(folder: str) -> int:
    return int(folder.rpartition("-")[2])


_FILE = re.compile(r"(?P<folder>runs/[^/]+/[^/]+/\d+/checkpoints/step-\d+)/(?P<name>[^/]+)")
