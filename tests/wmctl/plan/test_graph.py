from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import small_run
from wm.errors import BadConfig
from wmctl.plan.graph import resolve
from wmctl.plan.model import Plan
from wmctl.plan.node import Node, select


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


def test_an_optional_player_may_be_missing() -> None:
    arena = {"arena": "chess", "players": ["train", "champion?", "random"]}
    nodes = nodes_of(plan(enc=ENCODE, train=TRAIN, arena=arena))
    assert [seat.name for seat in nodes["arena"].seats] == ["train", "random"]
    assert not any(seat.optional for seat in nodes["arena"].seats)


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
        ({"enc": ENCODE, "train": TRAIN | {"vary": {"lr": ["1e-3", "1e-3"]}}}, "the same name"),
        ({"enc": ENCODE, "train": TRAIN | {"variants": {"A b": {}}}}, "name of its own"),
        ({"enc": ENCODE, "train": TRAIN | {"variants": {"-": {}}}}, "name of its own"),
        (
            {"enc": ENCODE, "train": TRAIN | {"variants": {"a": {}}}, "train-a": TRAIN},
            "name of its own",
        ),
        (
            {"enc": ENCODE, "train": TRAIN | {"vary": {"lr": [1]}, "variants": {"a": {}}}},
            "either vary or variants",
        ),
        (
            {"enc": ENCODE, "train": TRAIN | {"variants": {"a": {"lr.peak": 1}}, "lr": 0.1}},
            "vary lr.peak: 'lr' holds a value, not keys",
        ),
        ({"enc": ENCODE, "train": TRAIN | {"epochs": 2}}, "either steps or epochs"),
        ({"enc": ENCODE, "train": {"train": "lstm", "data": "enc"}}, "'steps' is missing"),
        ({"enc": ENCODE, "a": {"arena": "chess", "players": ["rndom"]}}, "did you mean 'random'"),
    ],
)
def test_a_wrong_stage_is_one_sentence(stages: dict[str, Any], says: str) -> None:
    with pytest.raises(BadConfig) as error:
        nodes_of(plan(**stages))
    assert says in error.value.message
    assert "\n" not in error.value.message


def test_a_stage_is_not_called_like_the_conductor() -> None:
    with pytest.raises(BadConfig, match="a run has one of its own"):
        small_run(stages={"conductor": {"encode": "chess"}}, verdicts={})


def test_variants_differ_in_what_they_say_and_share_the_rest() -> None:
    variants = {"small": {}, "wide": {"model.hidden": 16, "lr": 0.01}}
    nodes = nodes_of(plan(enc=ENCODE, train=TRAIN | {"variants": variants, "lr": 0.1}))
    assert list(nodes) == ["enc", "train-small", "train-wide"]
    small, wide = nodes["train-small"], nodes["train-wide"]
    assert (small.config["model"]["hidden"], small.config["lr"]) == (8, 0.1)
    assert (wide.config["model"]["hidden"], wide.config["lr"]) == (16, 0.01)
    assert (small.varied, wide.varied) == ({}, variants["wide"])
    assert wide.label == "train/wide"


def test_a_player_may_be_optional_or_wait_for_a_choice() -> None:
    arena = {"arena": "chess", "players": ["train?", "chosen(pick)", "base?", "random"]}
    made = plan(enc=ENCODE, train=TRAIN, bet=TRAIN | {"vary": {"lr": [1, 2]}}, arena=arena)
    choice = {"pick": {"among": ["bet/2", "bet/1"], "fits": True}}
    made = Plan.model_validate(made.model_dump(exclude_unset=True) | {"choices": choice})
    seats = nodes_of(made, {"base": "models/chess/b"})["arena"].seats
    assert [(s.name, s.node, s.model, s.optional, s.choice) for s in seats] == [
        ("train", "train", None, True, None),
        ("bet/2", "bet-2", None, False, "pick"),
        ("bet/1", "bet-1", None, False, "pick"),
        ("base", None, "models/chess/b", False, None),
        ("random", None, None, False, None),
    ]


def test_a_player_of_a_choice_that_there_is_not() -> None:
    arena = {"arena": "chess", "players": ["chosen(pikc)", "random"]}
    made = plan(enc=ENCODE, train=TRAIN, arena=arena)
    choice = {"pick": {"among": ["train"], "fits": True}}
    made = Plan.model_validate(made.model_dump(exclude_unset=True) | {"choices": choice})
    with pytest.raises(BadConfig, match=r"no such choice.*did you mean 'pick'"):
        nodes_of(made)


def test_after_puts_stages_in_order_without_needing_what_they_made() -> None:
    first = TRAIN | {"after": ["second/*"]}
    nodes = nodes_of(plan(enc=ENCODE, first=first, second=TRAIN | {"vary": {"lr": [1, 2]}}))
    assert list(nodes) == ["enc", "second-1", "second-2", "first"]
    assert nodes["first"].after == ["second-1", "second-2"]
    assert nodes["first"].needs == ["enc"]


def test_after_what_is_no_stage() -> None:
    with pytest.raises(BadConfig, match=r"after 'secnd', which is no stage.*mean 'second'"):
        nodes_of(plan(enc=ENCODE, first=TRAIN | {"after": ["secnd"]}, second=TRAIN))


def test_stages_that_wait_for_each_other_are_named() -> None:
    one, two = TRAIN | {"after": ["two"]}, TRAIN | {"after": ["one"]}
    with pytest.raises(BadConfig, match=r"wait for each other: one, two$"):
        nodes_of(plan(enc=ENCODE, one=one, two=two))
    with pytest.raises(BadConfig, match="wait for each other"):
        nodes_of(plan(enc=ENCODE, one=TRAIN | {"continues": "one"}))


def test_an_inventory_takes_stock_and_makes_no_data_set() -> None:
    nodes = nodes_of(plan(stock={"inventory": "chess"}, enc=ENCODE | {"after": ["stock"]}))
    assert list(nodes) == ["stock", "enc"]
    assert (nodes["stock"].kind, nodes["stock"].config["inventory"]) == ("encode", True)
    assert nodes["stock"].config["source"] == nodes["enc"].config["source"] == "made:8"
    assert nodes["enc"].config["inventory"] is False
    with pytest.raises(BadConfig, match="the data set of 'stock', which no stage makes"):
        nodes_of(plan(stock={"inventory": "chess"}, train=TRAIN | {"data": "stock"}))
    with pytest.raises(BadConfig, match=r"no data named 'ches'.*did you mean 'chess'"):
        nodes_of(plan(stock={"inventory": "ches"}))


def test_cores_are_those_that_a_stage_keeps_busy() -> None:
    arena = {"arena": "chess", "players": ["train", "random"], "threads": 3}
    train = TRAIN | {"threads": 2, "processes": 2}
    nodes = nodes_of(plan(enc=ENCODE | {"workers": 5}, train=train, arena=arena))
    assert [nodes[name].cpus for name in ("enc", "train", "arena")] == [5, 4, 3]
