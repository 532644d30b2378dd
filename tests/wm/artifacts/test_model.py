import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from wm.artifacts.model import (
    ModelCard,
    find_trained,
    load_card,
    publish_model,
    read_aliases,
    read_weights,
    set_alias,
)
from wm.errors import BadData
from wm.store import Conflict, NotFound, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def publish(store: Store, value: float = 1.0, **changes: Any) -> ModelCard:
    facts: dict[str, Any] = {
        "name": "chess",
        "game": "chess",
        "config": {"kind": "lstm", "hidden": 4},
        "parameters": 3,
        "data": "datasets/chess/f00d",
        "data_fingerprint": "f00d",
        "run": "demo-1",
        "stage": "train-a",
        "step": 10,
        "metrics": {"loss": 1.5},
        "training": {"lr": 0.1, "seed": 0},
        "targets_per_s": 12.5,
        "timing": {"startup_s": 3.5, "step_s": 0.01},
        "units": 256,
    }
    return publish_model(store, save({"w": np.full(3, value, np.float32)}), **(facts | changes))


def test_a_published_model_can_be_read_back(store: Store) -> None:
    card = publish(store)

    again = load_card(store, card.key)

    assert again == card
    assert card.version == f"demo-1.train-a.{card.weights.sha256[:8]}"
    assert card.kind == "lstm"
    assert (card.units, card.timing) == (256, {"startup_s": 3.5, "step_s": 0.01})
    assert read_weights(store, again)["w"].tolist() == [1.0, 1.0, 1.0]


def test_publishing_twice_changes_nothing(store: Store) -> None:
    first = publish(store)
    objects = {e.key: e.tag for e in store.list("models/")}

    second = publish(store)

    assert second == first
    assert {e.key: e.tag for e in store.list("models/")} == objects


def test_a_publication_that_was_cut_short_is_completed(store: Store) -> None:
    card = publish(store)
    store.delete(f"{card.key}/model.json")
    with pytest.raises(NotFound):
        load_card(store, card.key)

    assert publish(store).key == card.key
    assert load_card(store, card.key).parameters == 3


def test_changed_weights_are_refused(store: Store) -> None:
    card = publish(store)
    data = store.get(card.weights.key)
    store.put(card.weights.key, data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.raises(BadData, match=r"weights\.safetensors"):
        read_weights(store, card)


def test_a_card_that_is_none_is_named(store: Store) -> None:
    store.put("models/chess/v1/model.json", b'{"name": "chess"}')

    with pytest.raises(BadData, match=r"models/chess/v1/model\.json is not a model's card"):
        load_card(store, "models/chess/v1")


def test_a_card_of_before_timing_and_units_can_be_read(store: Store) -> None:
    card = publish(store)
    old = card.model_dump(exclude={"timing", "units"})
    store.put(f"{card.key}/model.json", json.dumps(old).encode())

    again = load_card(store, card.key)

    assert (again.timing, again.units) == ({}, 0)
    assert again.model_dump(exclude={"timing", "units"}) == old


def test_a_training_is_found_again_by_run_stage_and_settings(store: Store) -> None:
    card = publish(store)
    publish(store, 2.0, stage="train-ab", training={"lr": 0.2, "seed": 0})

    settings = {"lr": 0.1, "seed": 0}
    assert find_trained(store, "chess", "demo-1", "train-a", settings) == card
    assert find_trained(store, "chess", "demo-1", "train-a", {"lr": 0.2, "seed": 0}) is None
    assert find_trained(store, "chess", "demo-2", "train-a", settings) is None
    assert find_trained(store, "melee", "demo-1", "train-a", settings) is None


def test_the_page_names_metrics_and_lineage(store: Store) -> None:
    page = store.get(f"{publish(store).key}/card.md").decode()

    assert "| loss | 1.5 |" in page
    assert "datasets/chess/f00d" in page
    assert "run `demo-1`, stage `train-a`" in page


def test_aliases_move_by_compare_and_swap(store: Store) -> None:
    old, new = publish(store), publish(store, 2.0)
    assert read_aliases(store, "chess") == ({}, None)

    tag = set_alias(store, "chess", "champion", old.version, None)
    assert read_aliases(store, "chess") == ({"champion": old.version}, tag)
    set_alias(store, "chess", "base", old.version, tag)

    with pytest.raises(Conflict, match="changed by somebody else"):
        set_alias(store, "chess", "champion", new.version, tag)
    aliases, tag = read_aliases(store, "chess")
    assert aliases == {"champion": old.version, "base": old.version}

    set_alias(store, "chess", "champion", new.version, tag)
    assert read_aliases(store, "chess")[0]["champion"] == new.version


def test_an_alias_needs_a_model_to_point_at(store: Store) -> None:
    with pytest.raises(NotFound):
        set_alias(store, "chess", "champion", "nothing.there.0", None)
