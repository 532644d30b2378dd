"""Published models: ``models/<name>/<version>/{weights.safetensors, card.md, model.json}``.

``model.json`` is written last, so a version that has one is whole. Versions are immutable; an alias
(``champion``, ``base``, ...) is a name for one of them, moved by compare-and-swap.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData, first_problem
from wm.store import ABSENT, Conflict, NotFound, Store, Tag


class WeightsFile(BaseModel):
    """Where the weights lie, and what they must be."""

    model_config = ConfigDict(extra="forbid")

    key: str
    size: int
    """Bytes."""
    sha256: str


class ModelCard(BaseModel):
    """``model.json``: what the weights are, what they came from, and what they can do."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    name: str
    version: str
    """``<run>.<stage>.<first 8 hex digits of the weights' SHA-256>``."""
    game: str
    kind: str
    """Kind of network: mlp, lstm or mamba2."""
    config: dict[str, Any]
    """Shape of the network, a resolved :data:`wm.models.config.ModelConfig`."""
    parameters: int
    weights: WeightsFile
    data: str
    """Key of the data set it was trained on."""
    data_fingerprint: str
    run: str
    stage: str
    step: int
    """Optimizer updates behind the weights."""
    metrics: dict[str, float]
    """Held-out figures at that step."""
    units: int = 0
    """Held-out games behind the metrics."""
    targets_per_s: float = 0
    """Supervised targets per second of training time, over all processes."""
    timing: dict[str, float] = {}
    """Seconds of the attempt that published it: ``startup_s`` from its first process to its first
    update, and the means of one update, validation and checkpoint, ``step_s``, ``validate_s`` and
    ``save_s``; 0 for what it did not do."""
    peaks: dict[str, float] = {}
    """Most memory that the attempt's leading process used, in GB (10^9 bytes): ``memory_peak_gb``
    resident, ``gpu_memory_peak_gb`` of tensors on its GPU, if it had one."""
    training: dict[str, Any]
    """Resolved settings of the training."""
    created: float
    """Seconds since the epoch."""

    @property
    def key(self) -> str:
        """``models/<name>/<version>``."""
        return f"models/{self.name}/{self.version}"


def publish_model(
    store: Store,
    weights: bytes,
    *,
    name: str,
    game: str,
    config: dict[str, Any],
    parameters: int,
    data: str,
    data_fingerprint: str,
    run: str,
    stage: str,
    step: int,
    metrics: dict[str, float],
    training: dict[str, Any],
    targets_per_s: float = 0,
    timing: dict[str, float] | None = None,
    peaks: dict[str, float] | None = None,
    units: int = 0,
) -> ModelCard:
    """Publish safetensors bytes as a model; doing so twice gives the first one's card."""
    sha256 = hashlib.sha256(weights).hexdigest()
    version = f"{run}.{stage}.{sha256[:8]}"
    folder = f"models/{name}/{version}"
    card = ModelCard(
        name=name,
        version=version,
        game=game,
        kind=config["kind"],
        config=config,
        parameters=parameters,
        weights=WeightsFile(key=f"{folder}/weights.safetensors", size=len(weights), sha256=sha256),
        data=data,
        data_fingerprint=data_fingerprint,
        run=run,
        stage=stage,
        step=step,
        metrics=metrics,
        units=units,
        targets_per_s=targets_per_s,
        timing=timing or {},
        peaks=peaks or {},
        training=training,
        created=time.time(),
    )
    if store.head(f"{folder}/model.json") is not None:
        return load_card(store, folder)
    store.put(card.weights.key, weights)
    store.put(f"{folder}/card.md", _page(card).encode())
    try:
        store.put(f"{folder}/model.json", card.model_dump_json(indent=1).encode(), only_if=ABSENT)
    except Conflict:
        return load_card(store, folder)
    return card


def load_card(store: Store, key: str) -> ModelCard:
    """The card of ``models/<name>/<version>``; raises :class:`NotFound` and :class:`BadData`."""
    try:
        return ModelCard.model_validate_json(store.get(f"{key}/model.json"))
    except ValidationError as error:
        raise BadData(
            f"{key}/model.json is not a model's card: {first_problem(error)}",
            hint="publish the model again",
        ) from error


def read_weights(store: Store, card: ModelCard) -> dict[str, NDArray[Any]]:
    """The weights by parameter name; raises :class:`BadData` where the bytes are not the card's."""
    from safetensors.numpy import load  # the conductor reads cards without it

    return load(store.get(card.weights.key, sha256=card.weights.sha256))


def find_trained(
    store: Store, name: str, run: str, stage: str, training: dict[str, Any]
) -> ModelCard | None:
    """The finished model that this stage of this run made with these settings, if there is one."""
    for entry in store.list(f"models/{name}/{run}.{stage}."):
        folder, _, file = entry.key.rpartition("/")
        if file == "model.json" and (card := load_card(store, folder)).training == training:
            return card
    return None


def read_aliases(store: Store, name: str) -> tuple[dict[str, str], Tag | None]:
    """Alias -> version of the models of that name, and the tag to change them against."""
    key = f"models/{name}/aliases.json"
    try:
        data, tag = store.get_tagged(key)
    except NotFound:
        return {}, None
    try:
        aliases = json.loads(data)
    except ValueError as error:
        raise BadData(f"{key} is not JSON", hint="delete it and promote again") from error
    return {str(alias): str(version) for alias, version in aliases.items()}, tag


def set_alias(store: Store, name: str, alias: str, version: str, expected: Tag | None) -> Tag:
    """Point ``alias`` at ``version``, if the aliases are still those of tag ``expected``.

    ``expected`` is what :func:`read_aliases` gave; raises :class:`Conflict` where somebody was
    faster, and :class:`NotFound` where there is no such version.
    """
    load_card(store, f"models/{name}/{version}")
    aliases, tag = read_aliases(store, name)
    if tag != expected:
        raise Conflict(
            f"the aliases of {name} were changed by somebody else",
            hint="look at them and try again",
        )
    data = json.dumps(aliases | {alias: version}, indent=1, sort_keys=True).encode()
    return store.put(f"models/{name}/aliases.json", data, only_if=ABSENT if tag is None else tag)


def _page(card: ModelCard) -> str:
    """``card.md``, for people."""
    updates = f", {card.step:,} updates" if card.step else ""
    facts = [f"weights: `{card.weights.key}`, SHA-256 `{card.weights.sha256}`"]
    if card.data:
        facts.append(f"data: `{card.data}`")
    if "imported" in card.training:
        facts.append(f"imported from: `{card.training['imported']}`")
        facts += [str(card.training["about"])] if card.training.get("about") else []
    else:
        facts.append(f"made by: run `{card.run}`, stage `{card.stage}`")
    listed = "\n".join(f"- {fact}" for fact in facts)
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in card.metrics.items())
    metrics = f"\n| held out | |\n|---|---|\n{rows}\n" if rows else ""
    return f"""# {card.name} {card.version}

A {card.kind} model of {card.game}: {card.parameters:,} parameters{updates}.

{listed}
{metrics}
```json
{json.dumps(card.training, indent=1)}
```
"""
