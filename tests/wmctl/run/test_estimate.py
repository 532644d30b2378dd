from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import estimate, run_of
from wmctl.plan.node import Node
from wmctl.run.estimate import Estimate, Pace, estimate_from, guess, pace_of, shape, work_of

DATA = {
    "chess": {"game": "chess", "source": "made:1000"},
    "melee": {"game": "melee", "source": "replays", "games": 1000},
}
LSTM = {"embed": 256, "hidden": 512, "layers": 2}
MLP = {"context": 10, "hidden": 512, "trunk": 256}
TRAIN = {"train": "lstm", "data": "chess", "steps": 1000, "batch": 64, "threads": 2, "model": LSTM}
WORLD = {"train": "mlp", "data": "melee", "steps": 1000, "batch": 8, "model": MLP, "threads": 1}


def node(**stage: Any) -> Node:
    stages = {name: {"encode": name, "workers": 2} for name in DATA} | {"it": stage}
    return run_of({"name": "p", "data": DATA, "stages": stages}).node("it")


def encode(game: str) -> Node:
    stages = {game: {"encode": game, "workers": 2}}
    return run_of({"name": "p", "data": DATA, "stages": stages}).node(game)


def guessed(made: Node, on: str = "local", **tflops: float) -> Estimate:
    return guess(made, work_of(made), on, tflops)


def test_work() -> None:
    assert work_of(encode("chess")) == (1000, "game")
    assert work_of(node(**TRAIN)) == (1000, "step")
    three = {"arena": "chess", "players": ["greedy", "random"], "pairs": 40}
    assert work_of(node(**three)) == (40, "pair")
    duel = {"arena": "melee", "data": "melee", "players": ["copy_last", "constant_velocity"]}
    # 50 games for tests of the 200 that it would take, 16 starts each, for each player
    assert work_of(node(**duel)) == (50 * 16 * 2, "start")


def test_everybody_meets_everybody() -> None:
    tree = {"name": "p", "data": DATA, "stages": {"chess": {"encode": "chess"}}}
    tree["stages"]["a"] = {"arena": "chess", "players": ["x", "y", "greedy", "random"]}  # type: ignore[index]
    arena = run_of(tree, {"x": "models/chess/x", "y": "models/chess/y"}).node("a")
    assert work_of(arena) == (100 * 6, "pair")


@pytest.mark.parametrize("folder", [True, False])
def test_files_at_hand_are_weighed(tmp_path: Path, folder: bool) -> None:
    raw = tmp_path / "games"
    raw.mkdir()
    for name in ("a", "b"):
        (raw / name).write_bytes(bytes(1_500_000))
    source = raw if folder else raw / "a"
    found = encode("melee").model_copy(deep=True)
    found.config["source"] = str(source)
    assert work_of(found) == (3.0 if folder else 1.5, "MB")
    for unknown in ("s3://bucket/games", str(tmp_path / "nowhere"), "raw:games"):
        found.config["source"] = unknown
        assert work_of(found) == (1000, "game")


def test_a_guess_of_a_training_here() -> None:
    """Chess LSTM of 256 and 512 x 2: 60 plies a made game, 64 games a step, two cores.

    4 gates: 4*512*(256+512+2) + 4*512*(512+512+2) = 3,678,208 weights in the layers; the head has
    (512+20+1)*V and the embedding V*256 for a vocabulary of V.
    """
    from wm.games.chess.vocabulary import SIZE

    made = guessed(node(**TRAIN))
    weights = 3_678_208 + 533 * SIZE + 72
    assert made.unit_s == pytest.approx(64 * 60 * 6 * weights / (3e10 * 2))
    assert (made.work, made.unit, made.start_s) == (1000, "step", 6)
    assert (made.source, made.doubt, made.tail_s) == ("guess", 0.7, 0)
    assert made.seconds == pytest.approx(6 + 1000 * made.unit_s)


def test_a_guess_of_a_training_on_gpus() -> None:
    """An MLP of 1.3M on 4 GPUs of 989 TFLOPS each, at a twentieth of their peak."""
    # 10*196+26 in, 512, 256, 1,050 out; state_age and the other embeddings 15,080
    weights = 1987 * 512 + 513 * 256 + 257 * 1050 + 15_080
    four = WORLD | {"processes": 4, "resources": {"gpu": "h100"}}
    made = guessed(node(**four), "kubernetes", h100=989)
    assert made.unit_s == pytest.approx(8 * 128 * 6 * weights / (0.05 * 989e12 * 4))
    assert made.start_s == 6 + 4
    unknown = guessed(node(**four), "kubernetes")
    assert unknown.unit_s / made.unit_s == pytest.approx(9.89), "a GPU that no profile knows"
    here = guessed(node(**four), "local", h100=989)
    assert here.unit_s == pytest.approx(8 * 128 * 6 * weights / (3e10 * 4))


def test_a_window_has_one_target_and_is_read_whole() -> None:
    every, window = node(**WORLD), node(**WORLD | {"mode": "window"})
    ratio = guessed(every).unit_s / guessed(window).unit_s
    assert ratio == pytest.approx(128 / 10)


@pytest.mark.parametrize(
    ("made", "unit_s", "start_s"),
    [(encode("chess"), 0.01, 2), (node(arena="chess", players=["greedy", "random"]), 0.03, 5)],
)
def test_guesses_of_other_stages(made: Node, unit_s: float, start_s: float) -> None:
    found = guessed(made)
    assert (found.unit_s, found.start_s, found.source) == (unit_s, start_s, "guess")
    assert guessed(made, "kubernetes").start_s == start_s + 4


RESULT = {
    "step": 1000,
    "units": 100,
    "timing": {"step_s": 0.5, "validate_s": 4.0, "save_s": 1.0},
}


def pace(made: Node, seconds: float = 600.0, **result: Any) -> Pace:
    found = pace_of(made, work_of(made), seconds, RESULT | result, "r1", 7.0)
    assert found is not None
    return found


def test_what_a_training_says_of_its_pace() -> None:
    made = pace(node(**TRAIN))
    # every 200 steps and at the end: six validations of 4 s, six checkpoints of 1 s; 500 s of steps
    assert made == Pace(
        start_s=600 - 500 - 24 - 6, unit_s=0.5, validate_s=4, save_s=1, units=100, run="r1", time=7
    )
    assert pace(node(**TRAIN), seconds=100).start_s == 0
    assert pace_of(node(**TRAIN), (1, "step"), 9, {"step": 3}, "r", 0) is None


def test_what_another_stage_says_of_its_pace() -> None:
    made = pace(encode("chess"), 12.0)
    assert (made.start_s, made.unit_s) == (2, 0.01)
    assert (pace(encode("chess"), 1.0).start_s, pace(encode("chess"), 1.0).unit_s) == (0.5, 0.0005)


def test_an_estimate_from_a_pace_gives_the_measured_time_again() -> None:
    it = node(**TRAIN | {"validate_games": 50})
    made = estimate_from(it, work_of(it), pace(it))
    # validations hold the 50 held-out games of the expected data set: half of what was measured
    assert made.unit_s == pytest.approx(0.5 + 2 / 200 + 1 / 200)
    assert (made.start_s, made.tail_s) == (70, 3)
    assert made.seconds == pytest.approx(70 + 500 + 10 + 5 + 3)
    assert (made.doubt, made.source) == (0.1, "r1")


def test_an_estimate_from_another_size_is_scaled_and_more_doubtful() -> None:
    it = node(**TRAIN | {"validate_games": 50})
    made = estimate_from(it, work_of(it), pace(it), scale=4)
    assert made.unit_s == pytest.approx(4 * 0.5 + 2 / 200 + 1 / 200), "a checkpoint does not grow"
    assert made.doubt == 0.3


def test_amounts_for_people() -> None:
    assert estimate(1500).amount() == "1,500 steps"
    assert estimate(1).amount() == "1 step"
    assert estimate(3, unit="MB").amount() == "3 MB"


@pytest.mark.parametrize(
    ("change", "same", "like"),
    [
        ({"steps": 9, "lr": 0.1, "seed": 2, "games": 5, "labels": "loser"}, True, True),
        ({"model": LSTM | {"dropout": 0.5}}, True, True),
        ({"batch": 128}, False, True),
        ({"length": 64}, False, True),
        ({"model": LSTM | {"hidden": 64}}, False, False),
        ({"threads": 1}, False, False),
        ({"precision": "bf16"}, False, False),
        ({"processes": 2, "threads": 1}, False, False),  # as many cores, but shared
        ({"resources": {"gpu": "h100"}}, False, False),
    ],
)
def test_nodes_of_one_shape_take_the_same_time(
    change: dict[str, Any], same: bool, like: bool
) -> None:
    one, other = node(**TRAIN), node(**TRAIN | change)
    assert (shape(one) == shape(other)) is same
    assert (shape(one, like=True) == shape(other, like=True)) is like


def test_another_number_of_gpus_is_another_shape() -> None:
    one, two = (node(**TRAIN | {"resources": {"gpu": "h100", "gpus": n}}) for n in (1, 2))
    assert shape(one, like=True) != shape(two, like=True)


def test_a_context_counts_where_it_is_computed() -> None:
    mamba = WORLD | {"train": "mamba2", "model": {"d_model": 64, "headdim": 32}}

    def shapes(**model: Any) -> list[Any]:
        mode = model.pop("mode", "every")
        kind = model.pop("train", "mamba2")
        base = mamba["model"] if kind == "mamba2" else MLP
        return shape(node(**mamba | {"train": kind, "model": base | model, "mode": mode}))  # type: ignore[operator]

    assert shapes(context=10) == shapes(context=60), "a sequence is as long as it is"
    assert shapes(context=10, mode="window") != shapes(context=60, mode="window")
    assert shapes(train="mlp", context=10) != shapes(train="mlp", context=60)


def test_arenas_and_encodings_have_shapes_too() -> None:
    def arena(**change: Any) -> list[Any]:
        return shape(node(**{"arena": "chess", "players": ["greedy", "random"]} | change))

    assert arena(pairs=7) == arena()
    assert arena(max_plies=20) != arena()
    one, other = encode("chess"), encode("chess").model_copy(deep=True)
    other.config["source"] = "made:7?seed=2"
    assert shape(one) == shape(other)
    other.config["source"] = "/data/games.pgn"
    files = shape(other)
    assert files != shape(one)
    other.config["source"] = "/data/others"
    assert shape(other) == files
    other.config["inventory"] = True
    assert shape(other) != files, "taking stock is faster"
