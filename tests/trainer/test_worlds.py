"""What stays the same at any number of processes: the stream, the curve, the held-out figures.

Real processes, which meet over gloo. Dropout is 0 here: its masks are drawn from seed, step and
rank, so with it the number of processes changes the noise, though neither samples nor order.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.forks import attempt, read_stream, validate_first, watch
from tests.support.training import LSTM, MLP, publish_chess, publish_melee, settings, write_spec
from wm.artifacts.checkpoint import newest_checkpoint
from wm.errors import Exit
from wm.store import open_store

pytestmark = [
    pytest.mark.timeout(170),
    pytest.mark.skipif(sys.platform != "linux", reason="the processes die with their parent there"),
]

WORLDS = (1, 2, 4, 8)
STEPS = 12
GAMES: dict[str, dict[str, Any]] = {
    "chess": {"model": LSTM | {"dropout": 0}},
    "melee": {"model": MLP | {"dropout": 0}},
}


@dataclass
class Ran:
    """What one attempt left."""

    codes: list[int]
    stream: dict[int, list[list[Any]]]
    """Step -> (identity, epoch, digest) of each sample."""
    events: list[dict[str, Any]]

    @property
    def losses(self) -> dict[int, float]:
        """Of the batch, by updates done."""
        return {e["step"]: e["loss"] for e in self.events if e["event"] == "train"}

    @property
    def held_out(self) -> list[dict[str, float]]:
        """Figures of the checkpoint that the attempt went on from, and those at the end."""
        return [e["metrics"] for e in self.events if e["event"] == "validate"]


def run(root: Path, game: str, number: int, world: int, stop_after: int = 0, **changes: Any) -> Ran:
    """Attempt ``number`` of the training in the store ``root``."""
    store, folder = open_store(str(root)), root.with_name(f"{root.name}-{number}")
    config = settings(f"datasets/{game}/f00d", **GAMES[game])
    config |= {"groups": 8, "batch": 16, "steps": STEPS, "schedule_steps": STEPS, "log_every": 1}
    config |= {"checkpoint_every": 99, "validate_every": 99, "processes": world, **changes}
    spec = write_spec(store, config, number)
    prepare = [watch(folder, stop_after), *([validate_first] if number > 1 else [])]
    with attempt(str(root), spec, folder, world, prepare) as begun:
        codes = begun.wait()
    lines = store.get(f"{spec.prefix}/metrics.jsonl").decode().splitlines()
    return Ran(codes, read_stream(folder), [json.loads(line) for line in lines])


@pytest.fixture(scope="module", params=GAMES)
def game(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def begun(game: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a training that one process has begun: it holds a checkpoint of step 1."""
    root = tmp_path_factory.mktemp(game) / "begun"
    store = open_store(str(root))
    {"chess": publish_chess, "melee": publish_melee}[game](store)
    ran = run(root, game, number=1, world=1, steps=1)
    assert ran.codes == [Exit.OK]
    found = newest_checkpoint(store, "r", "train")
    assert found is not None
    assert found.step == 1
    return root


@pytest.fixture(scope="module")
def at(game: str, begun: Path) -> Callable[[int], Ran]:
    """``at(world)``: that training finished by so many processes."""

    @cache
    def finished(world: int) -> Ran:
        root = begun.with_name(f"world-{world}")
        shutil.copytree(begun, root)
        return run(root, game, number=2, world=world)

    return finished


@pytest.mark.parametrize("world", WORLDS[1:])
def test_every_sample_of_every_step_is_the_same_at_any_number_of_processes(
    at: Callable[[int], Ran], world: int
) -> None:
    alone = at(1).stream

    assert at(world).codes == [Exit.OK] * world
    assert at(world).stream == alone
    assert list(alone) == list(range(1, STEPS))
    assert all(len(samples) == 16 for samples in alone.values())
    assert len({epoch for samples in alone.values() for _, epoch, _ in samples}) > 3


@pytest.mark.parametrize("world", WORLDS[1:])
def test_the_held_out_figures_of_a_checkpoint_are_the_same_at_any_number_of_processes(
    at: Callable[[int], Ran], world: int
) -> None:
    alone, shared = at(1).held_out[0], at(world).held_out[0]

    assert shared == pytest.approx(alone, rel=1e-6, abs=1e-6)
    for name, figure in alone.items():
        if name.startswith(("top", "raw_legal")) or "accuracy" in name:  # quotients of two counts
            assert shared[name] == figure, name


def test_a_training_that_changes_hands_goes_on_as_if_it_had_not(
    game: str, begun: Path, at: Callable[[int], Ran]
) -> None:
    """From one process to four and on to two, each time by SIGTERM to a single process."""
    root = begun.with_name("elastic")
    shutil.copytree(begun, root)

    first = run(root, game, number=2, world=1, stop_after=4)
    second = run(root, game, number=3, world=4, stop_after=8)
    third = run(root, game, number=4, world=2)

    assert (first.codes, second.codes) == ([Exit.PREEMPTED], [Exit.PREEMPTED] * 4)
    assert third.codes == [Exit.OK] * 2
    parts = (first, second, third)
    assert [list(part.stream) for part in parts] == [[1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert first.stream | second.stream | third.stream == at(1).stream
    curve = first.losses | second.losses | third.losses
    assert list(curve) == list(range(2, STEPS + 1))
    assert curve == pytest.approx(at(1).losses, rel=1e-4)
    assert third.held_out[-1]["loss"] == pytest.approx(at(1).held_out[-1]["loss"], rel=1e-4)
