from pathlib import Path

import numpy as np
import pytest

from wm.artifacts.checkpoint import newest_checkpoint, prune_checkpoints, save_checkpoint
from wm.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def save(store: Store, step: int, attempt: int = 1) -> str:
    weights = np.full(4, step, np.float32)
    return save_checkpoint(
        store, f"runs/r/train/{attempt:02d}", step, {"w": weights}, {"note": "ä", "step": step}
    )


def test_what_was_saved_comes_back(store: Store) -> None:
    key = save(store, 12)

    found = newest_checkpoint(store, "r", "train")

    assert key == "runs/r/train/01/checkpoints/step-000012"
    assert found is not None
    assert (found.key, found.step, found.state) == (key, 12, {"note": "ä", "step": 12})
    assert found.tensors["w"].tolist() == [12.0] * 4


def test_there_is_none_before_the_first(store: Store) -> None:
    save_checkpoint(store, "runs/r/other/01", 5, {"w": np.zeros(1)}, {})

    assert newest_checkpoint(store, "r", "train") is None


def test_the_newest_of_all_attempts_is_the_one_with_most_steps(store: Store) -> None:
    save(store, 8, attempt=1)
    save(store, 12, attempt=2)
    save(store, 4, attempt=10)
    save(store, 1_000_000, attempt=3)

    found = newest_checkpoint(store, "r", "train")

    assert found is not None
    assert found.step == 1_000_000


def test_the_newest_up_to_a_step_can_be_asked_for(store: Store) -> None:
    for step in (4, 8, 12):
        save(store, step)

    found = [newest_checkpoint(store, "r", "train", at_most=step) for step in (3, 8, 11)]

    assert [one and one.step for one in found] == [None, 8, 8]


def test_a_checkpoint_without_a_manifest_does_not_exist(store: Store) -> None:
    save(store, 4)
    store.delete(f"{save(store, 8)}/manifest.json")

    found = newest_checkpoint(store, "r", "train")

    assert found is not None
    assert found.step == 4


@pytest.mark.parametrize("file", ["state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut in half", "one byte changed", "gone"])
def test_a_damaged_checkpoint_costs_one_warning_and_the_one_before_is_taken(
    store: Store, caplog: pytest.LogCaptureFixture, expect_logs: list[str], file: str, damage: str
) -> None:
    save(store, 4, attempt=1)
    key = save(store, 8, attempt=2)
    hurt(store, f"{key}/{file}", damage)
    warnings = 1
    if (file, damage) == ("manifest.json", "gone"):
        warnings = 0  # it was never finished
    expect_logs.append(f"checkpoint {key} is damaged and skipped")

    found = newest_checkpoint(store, "r", "train")

    assert found is not None
    assert found.step == 4
    assert len(caplog.records) == warnings


def test_a_manifest_of_another_step_is_damage(store: Store, expect_logs: list[str]) -> None:
    old, new = save(store, 4), save(store, 8)
    for file in ("state.safetensors", "state.json", "manifest.json"):
        store.put(f"{new}/{file}", store.get(f"{old}/{file}"))
    expect_logs.append("its manifest is another's")

    found = newest_checkpoint(store, "r", "train")

    assert found is not None
    assert found.key == old


def test_pruning_keeps_the_newest_of_all_attempts_and_what_is_in_work(store: Store) -> None:
    for step in (4, 8):
        save(store, step, attempt=1)
    save(store, 12, attempt=2)
    store.delete(f"{save(store, 6, attempt=1)}/manifest.json")  # a kill left it unfinished
    store.delete(f"{save(store, 16, attempt=2)}/manifest.json")  # being written

    prune_checkpoints(store, "r", "train", keep=2)

    left = sorted({entry.key.split("/")[5] for entry in store.list("runs/r/train/")})
    assert left == ["step-000008", "step-000012", "step-000016"]


def hurt(store: Store, key: str, damage: str) -> None:
    data = store.get(key)
    if damage == "gone":
        store.delete(key)
    elif damage == "cut in half":
        store.put(key, data[: len(data) // 2])
    else:
        # Bytes near a file's end are weights, state, or a digest; never mere white space.
        place = data.rindex(b"a") if b'"files"' in data else len(data) - 3
        store.put(key, data[:place] + bytes([data[place] ^ 3]) + data[place + 1 :])
