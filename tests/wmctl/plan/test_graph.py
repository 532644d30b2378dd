from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import small_run
from wm.errors import BadConfig
from wmctl.plan.graph import resolve
from wmctl.plan.model import Plan
from wmctl.plan.node import Node, bind, select


def plan(**stages: dict[str, Any]) -> Plan:
    chess = {"game": "chess", "source": "made:8"}
    return Plan.model_validate({"name": "p", "data": {"chess": chess}, "stages": stages})


ENCODE = {"encode": "chess"}
TRAIN = {"train": "lstm", "data": "enc", "steps": 5, "model": {"hidden": 8}}


def nodes_of(made: Plan, models: dict[str, str] | None = None) -> dict[str, Node]:
    found = resolve(made, lambda game, name: (models or {}).get(name))
    return {node.name: node for node in found}


def test_variants_get_names_of_their_values() -> None:
    train = TRAIN | {"vary": {"labels": ["winner", "loser"], "model.hidden": [8, 16]}}
    nodes = nodes_of(plan(enc=ENCODE, train=train))
    assert list(nodes) == [
        "enc",
        "train-winner-8",
        "train-winner-16",
        "train-loser-8",
        "train-loser-16",
    ]
    wide = nodes["train-winner-16"]
    assert wide.label == "train/winner-16"
    assert wide.config["model"]["hidden"] == 16
    assert wide.config["labels"] == "winner"
    assert nodes["train-winner-8"].config["model"]["hidden"] == 8
    assert {n.name for n in select(nodes, "train/*")} == set(nodes) - {"enc"}
    assert [n.name for n in select(nodes, "train/loser-8")] == ["train-loser-8"]


def test_stages_come_after_what_they_need_whatever_the_order_in_the_plan() -> None:
    arena = {"arena": "chess", "players": ["train", "random"]}
    nodes = nodes_of(plan(arena=arena, train=TRAIN, enc=ENCODE))
    assert list(nodes) == ["enc", "train", "arena"]
    assert nodes["arena"].needs == ["train"]
    assert nodes["train"].needs == ["enc"]


def test_settings_are_resolved_with_no_default_left_open() -> None:
    nodes = nodes_of(plan(enc=ENCODE, train=TRAIN))
    assert nodes["train"].config["lr"] > 0
    assert nodes["enc"].config["split"]
    assert nodes["enc"].config["source"] == "made:8"


def test_bind_fills_in_what_earlier_stages_made() -> None:
    arena = {"arena": "chess", "players": ["train", "base", "random"]}
    nodes = nodes_of(plan(enc=ENCODE, train=TRAIN, arena=arena), {"base": "models/chess/v1"})
    results = {"enc": {"dataset": "datasets/chess/ab"}, "train": {"model": "models/chess/x"}}
    assert bind(nodes["train"], results)["data"] == "datasets/chess/ab"
    assert bind(nodes["arena"], results)["players"] == [
        {"name": "train", "anchor": None, "model": "models/chess/x"},
        {"name": "base", "anchor": None, "model": "models/chess/v1"},
        {"name": "random", "anchor": "random", "model": None},
    ]


def test_an_optional_player_may_be_missing() -> None:
    arena = {"arena": "chess", "players": ["train", "champion?", "random"]}
    nodes = nodes_of(plan(enc=ENCODE, train=TRAIN, arena=arena))
    assert [seat.name for seat in nodes["arena"].seats] == ["train", "random"]


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ({"enc": {"encode": "ches"}}, "did you mean 'chess'"),
        ({"enc": ENCODE, "train": TRAIN | {"data": "encode"}}, "which no stage makes"),
        ({"enc": ENCODE, "train": {"train": "lstm", "steps": 5}}, "'data' is missing"),
        ({"enc": ENCODE | {"arena": "chess"}}, "exactly one of the keys"),
        ({"enc": ENCODE | {"wrokers": 2}}, "did you mean 'workers'"),
        ({"enc": ENCODE, "train": TRAIN | {"model": {"hiden": 8}}}, "did you mean 'hidden'"),
        ({"enc": ENCODE, "train": TRAIN | {"steps": 0}}, "steps"),
        ({"enc": ENCODE, "train": TRAIN | {"vary": {"lr": ["1e-3", "1e-3"]}}}, "name of its own"),
        ({"enc": ENCODE, "a": {"arena": "chess", "players": ["rndom"]}}, "did you mean 'random'"),
    ],
)
def test_a_wrong_stage_is_one_sentence(stages: dict[str, Any], says: str) -> None:
    with pytest.raises(BadConfig) as error:
        nodes_of(plan(**stages))
    assert says in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"gates": [{"after": "trian", "metric": "x", "at_least": 1}]}, "did you mean 'train'"),
        ({"gates": [{"after": "train", "metric": "x"}]}, "one of at_least and at_most"),
        (
            {
                "verdicts": {
                    "v": {"arena": "train", "candidate": "a", "criteria": [{"metric": "e"}]}
                }
            },
            "is no arena stage",
        ),
        (
            {
                "verdicts": {
                    "v": {
                        "arena": "arena",
                        "candidate": "trian",
                        "criteria": [{"metric": "elo", "above": 0}],
                    }
                }
            },
            "did you mean 'train'",
        ),
    ],
)
def test_gates_and_verdicts_name_what_is_there(rules: dict[str, Any], says: str) -> None:
    arena = {"arena": "chess", "players": ["train", "random"]}
    made = plan(enc=ENCODE, train=TRAIN, arena=arena)
    made = Plan.model_validate(made.model_dump(exclude_unset=True) | rules)
    with pytest.raises(BadConfig) as error:
        nodes_of(made)
    assert says in error.value.message


def test_a_stage_is_not_called_like_the_conductor() -> None:
    with pytest.raises(BadConfig, match="a run has one of its own"):
        small_run(stages={"conductor": {"encode": "chess"}}, verdicts={})
