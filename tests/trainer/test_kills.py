"""Trainings that are killed where it hurts, and end with the same bits nevertheless.

benchmarks/kills.py does this hundreds of times, also to the whole tree of real processes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.blows import Hold, Relay, last_step, relay
from tests.support.forks import Attempt
from tests.support.rough import rough, whole_steps
from tests.support.s3 import S3Server
from wm.artifacts.checkpoint import newest_checkpoint
from wm.store import Store, open_store

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(sys.platform != "linux", reason="the processes die with their parent there"),
]


@pytest.fixture
def calm(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "calm"))


@pytest.fixture
def between(s3_server: S3Server) -> Iterator[Relay]:
    with relay(s3_server.port) as made:
        yield made


def test_kills_at_any_moment_and_inside_every_write_change_no_bit(
    tmp_path: Path, store: Store, calm: Store
) -> None:
    """Two processes, a directory: what saves a checkpoint is the order in which its files come."""
    t, draw = rough(tmp_path, store, calm, "chess", processes=2), random.Random(0)

    t.kill_at(Hold(r"step-000004/state\.safetensors", "sync"))
    assert newest_checkpoint(store, "r", "train") is None
    t.kill_at(Hold(r"step-000004/", nth=1))
    assert newest_checkpoint(store, "r", "train") is None
    t.kill_at(Hold(r"step-000008/", nth=2))
    assert whole_steps(store) == [4]
    for step in (9, 14):
        with t.attempt() as begun:
            assert begun.reaches(partial(has_made, begun, step)), begun.log()
            time.sleep(draw.uniform(0, 0.03))
            t.kill(begun)
    t.kill_at(Hold(r"checkpoints/", "delete", nth=1))  # an old one has lost its manifest alone
    t.kill_at(Hold(r"models/.*/model\.json"))
    assert whole_steps(store) == [20, 24]
    t.finish()


def test_kills_inside_an_upload_to_a_bucket_change_no_bit(
    tmp_path: Path, s3_url: str, s3_server: S3Server, between: Relay, calm: Store
) -> None:
    """The server has half of an object's bytes when its client dies."""
    store = open_store(s3_url)
    t = rough(tmp_path, store, calm, "melee", steps=16)
    t.environment = s3_server.environment(between.endpoint)

    for key, whole in (
        (r"step-000008/state\.safetensors", [4]),
        (r"step-000008/manifest\.json", [4]),
        (r"models/.*/weights\.safetensors", [12, 16]),
    ):
        between.hold(key)
        with t.attempt() as begun:
            assert begun.reaches(between.held.is_set), begun.log()
            t.kill(begun)
        assert whole_steps(store) == whole
        assert not any(store.list("models/"))
    t.finish()


def test_a_half_published_and_a_damaged_checkpoint_cost_one_warning_and_no_bit(
    tmp_path: Path, store: Store, calm: Store
) -> None:
    t = rough(tmp_path, store, calm, "chess")
    t.kill_at(Hold(r"step-000012/manifest\.json"))
    assert whole_steps(store) == [4, 8]
    folder = "runs/r/train/01/checkpoints"
    data = bytearray(store.get(f"{folder}/step-000008/state.safetensors"))
    data[-40:-20] = bytes(byte ^ 0xFF for byte in data[-40:-20])
    store.put(f"{folder}/step-000008/state.safetensors", bytes(data))

    t.finish(warnings=1)

    log = (tmp_path / "attempt-2" / "log-0.txt").read_text()
    assert f"WARNING checkpoint {folder}/step-000008 is damaged and skipped" in log
    assert f"going on from {folder}/step-000004" in log


def has_made(begun: Attempt, step: int) -> bool:
    return last_step(begun.log()) >= step
