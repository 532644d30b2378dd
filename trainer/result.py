"""A finished training as the stage's outcome tells of it."""

from __future__ import annotations

from typing import Any

from trainer.config import TrainConfig
from wm.artifacts.dataset import load_manifest
from wm.artifacts.model import ModelCard, find_trained
from wm.stage import StageSpec
from wm.store import Store


def finished(store: Store, spec: StageSpec, config: TrainConfig) -> ModelCard | None:
    """The model that this very training has already published, if it has."""
    name = config.name or load_manifest(store, config.data).game
    return find_trained(store, name, spec.run, spec.stage, config.model_dump(mode="json"))


def result_of(card: ModelCard) -> dict[str, Any]:
    """The result that goes into the outcome."""
    return {
        "model": card.key,
        "step": card.step,
        "parameters": card.parameters,
        "metrics": card.metrics,
        "targets_per_s": card.targets_per_s,
        "timing": card.timing,
        "peaks": card.peaks,
        "units": card.units,
        "data": card.data,
        # A training cannot start from bytes that differ from the manifest: open_dataset has read
        # every shard of both splits and compared its SHA-256 before the first update.
        "cache": {"train": "hit", "val": "hit"},
    }
