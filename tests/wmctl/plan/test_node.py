from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import run_of
from wmctl.plan.node import Node, bind, select

DATA = {
    "chess": {"game": "chess", "source": "games.pgn", "games": 1000},
    "melee": {"game": "melee", "source": "replays", "games": 1000},
}
TRAIN = {"train": "lstm", "data": "chess", "steps": 400}
COUNTED: dict[str, dict[str, Any]] = {
    "chess": {
        "dataset": "datasets/chess/ab",
        "games": {"train": 640, "val": 5},
        "rows": {"train": 51_200, "val": 7},
    },
    "melee": {
        "dataset": "datasets/melee/cd",
        "games": {"train": 10, "val": 5},
        "rows": {"train": 99_000, "val": 7},
    },
}
"""What the data sets really hold."""


def nodes_of(choices: dict[str, Any] | None = None, **stages: dict[str, Any]) -> dict[str, Node]:
    encodes = {name: {"encode": name} for name in DATA}
    tree = {"name": "p", "data": DATA, "stages": encodes | stages, "choices": choices or {}}
    return run_of(tree, {"base": "models/chess/v1"}).by_name


def test_the_data_set_and_the_models_are_filled_in() -> None:
    arena = {"arena": "chess", "players": ["train", "base", "random"]}
    nodes = nodes_of(train=TRAIN, arena=arena)
    results = COUNTED | {"train": {"model": "models/chess/x"}}
    assert bind(nodes["train"], nodes, results)["data"] == "datasets/chess/ab"
    assert bind(nodes["arena"], nodes, results)["players"] == [
        {"name": "train", "anchor": None, "model": "models/chess/x"},
        {"name": "base", "anchor": None, "model": "models/chess/v1"},
        {"name": "random", "anchor": "random", "model": None},
    ]
    assert nodes["train"].config["data"].endswith("/pending"), "the node stays as it is"


@pytest.mark.parametrize(
    ("stage", "steps"),
    [
        ({"train": "lstm", "data": "chess", "epochs": 3, "batch": 64}, 30),  # 3 * 640 / 64
        ({"train": "lstm", "data": "chess", "epochs": 3, "batch": 64, "games": 700}, 30),
        # 99,000 frames / 128 / 8 = 96.7; of five of the ten games 48.3
        ({"train": "mlp", "data": "melee", "epochs": 1, "batch": 8, "length": 128}, 97),
        ({"train": "mlp", "data": "melee", "epochs": 1, "batch": 8, "games": 5}, 49),
        ({"train": "mlp", "data": "melee", "epochs": 1, "batch": 8, "mode": "window"}, 12_375),
    ],
)
def test_epochs_are_those_of_the_games_that_were_counted(stage: dict[str, Any], steps: int) -> None:
    nodes = nodes_of(train=stage)
    assert bind(nodes["train"], nodes, COUNTED)["steps"] == steps
    assert nodes["train"].steps != steps, "before that they were expected from the plan"


def test_a_part_of_a_training_has_the_schedule_of_the_whole() -> None:
    nodes = nodes_of(
        part=TRAIN | {"share": 0.25},
        whole=TRAIN,
        epochs={"train": "lstm", "data": "chess", "epochs": 4, "batch": 64, "share": 0.5},
    )
    part, whole, epochs = (bind(nodes[n], nodes, COUNTED) for n in ("part", "whole", "epochs"))
    assert (part["steps"], part["schedule_steps"]) == (100, 400)
    assert (whole["steps"], whole["schedule_steps"]) == (400, None)
    assert (epochs["steps"], epochs["schedule_steps"]) == (20, 40)
    short = bind(nodes["part"], nodes, COUNTED, steps=30)
    assert (short["steps"], short["schedule_steps"]) == (30, 400)


@pytest.mark.parametrize(("bound", "steps"), [(None, 400), (300, 300), (500, 400)])
def test_a_bound_shortens_and_never_lengthens(bound: int | None, steps: int) -> None:
    nodes = nodes_of(train=TRAIN)
    assert bind(nodes["train"], nodes, COUNTED, steps=bound)["steps"] == steps


CHOICES = {"pick": {"among": ["small"], "by": [{"metric": "top1"}]}}
SMALL = TRAIN | {"variants": {"wide": {"model.hidden": 64, "lr": 0.5}, "deep": {"model.layers": 3}}}


@pytest.mark.parametrize(
    ("winner", "hidden", "layers", "lr"), [("wide", 64, 1, 0.5), ("deep", 16, 3, 0.001)]
)
def test_the_winners_settings_are_adopted_and_nothing_else_of_it(
    winner: str, hidden: int, layers: int, lr: float
) -> None:
    big = TRAIN | {"adopt": ["pick"], "steps": 900, "model": {"hidden": 16, "layers": 1}}
    nodes = nodes_of(CHOICES, small=SMALL, big=big)
    config = bind(nodes["big"], nodes, COUNTED, chosen={"pick": [f"small-{winner}"]})
    assert (config["model"]["hidden"], config["model"]["layers"]) == (hidden, layers)
    assert (config["lr"], config["steps"]) == (lr, 900)
    assert nodes["big"].config["model"]["hidden"] == 16, "the node stays as it is"


def test_adopted_settings_decide_how_long_an_epoch_is() -> None:
    small = TRAIN | {"variants": {"few": {"batch": 32}, "many": {"batch": 64}}}
    big = {"train": "lstm", "data": "chess", "epochs": 1, "batch": 8, "adopt": ["pick"]}
    nodes = nodes_of(CHOICES, small=small, big=big)
    config = bind(nodes["big"], nodes, COUNTED, chosen={"pick": ["small-few"]})
    assert (config["batch"], config["steps"]) == (32, 20)


def test_who_was_not_chosen_or_has_failed_has_no_seat() -> None:
    arena = {
        "arena": "chess",
        "players": ["chosen(pick)", "more?", "base", "random"],
        "decide": ["small/wide", "small/deep", "base"],
    }
    nodes = nodes_of(CHOICES, small=SMALL, more=TRAIN, arena=arena)
    results = COUNTED | {
        "small-wide": {"model": "models/chess/w"},
        "small-deep": {"model": "models/chess/d"},
    }
    config = bind(nodes["arena"], nodes, results, chosen={"pick": ["small-deep"]})
    assert [p["name"] for p in config["players"]] == ["small/deep", "base", "random"]
    assert config["players"][0]["model"] == "models/chess/d"
    assert config["decide"] == ["small/deep", "base"]
    results["more"] = {"model": "models/chess/m"}
    config = bind(nodes["arena"], nodes, results, chosen={"pick": []})
    assert [p["name"] for p in config["players"]] == ["more", "base", "random"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("small", ["small-wide", "small-deep"]),
        ("small/*", ["small-wide", "small-deep"]),
        ("small/deep", ["small-deep"]),
        ("small-deep", ["small-deep"]),
        ("more", ["more"]),
        ("smal", []),
        ("small/d", []),
    ],
)
def test_which_nodes_a_plan_means(selector: str, found: list[str]) -> None:
    nodes = nodes_of(small=SMALL, more=TRAIN)
    assert [node.name for node in select(nodes, selector)] == found
