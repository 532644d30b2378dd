"""What the graph makes of trainings: epochs, parts of a training, calibrations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.runs import run_of
from wm.errors import BadConfig
from wmctl.plan.expect import Expected
from wmctl.plan.node import Node

DATA = {
    "chess": {"game": "chess", "source": "games.pgn", "games": 22_000},
    "melee": {"game": "melee", "source": "replays", "games": 22_000},
    "other": {"game": "chess", "source": "made:1000"},
}
ENCODES = {name: {"encode": name} for name in DATA}
CHESS = {"train": "lstm", "data": "chess", "steps": 400}
MELEE = {"train": "mamba2", "data": "melee", "steps": 400}


def nodes_of(**stages: dict[str, Any]) -> dict[str, Node]:
    tree = {"name": "p", "data": DATA, "stages": ENCODES | stages}
    return run_of(tree).by_name


def refusal(**stages: dict[str, Any]) -> str:
    with pytest.raises(BadConfig) as error:
        nodes_of(**stages)
    return error.value.message


def test_what_a_data_set_should_hold_before_anybody_has_looked() -> None:
    nodes = nodes_of(train=MELEE)
    # 5 % each for validation and test; 9,398 frames in a ranked replay, 1,800 in a made one
    train = {"games": 22_000, "train": 19_800, "rows": 186_080_400, "val": 1_100, "test": 1_100}
    assert nodes["train"].expects == nodes["melee"].expects == Expected(**train)
    assert nodes["chess"].expects.rows == 19_800 * 80
    assert nodes["other"].expects.rows == 900 * 60


@pytest.mark.parametrize(
    ("stage", "steps"),
    [
        # 19,800 games / 64 = 309.4; two epochs 618.75
        ({"data": "chess", "train": "lstm", "epochs": 1, "batch": 64}, 310),
        ({"data": "chess", "train": "lstm", "epochs": 2, "batch": 64}, 619),
        # 1,000 of the games / 64 = 15.6; more games than there are is all of them
        ({"data": "chess", "train": "lstm", "epochs": 1, "batch": 64, "games": 1000}, 16),
        ({"data": "chess", "train": "lstm", "epochs": 1, "batch": 64, "games": 10**6}, 310),
        # 186,080,400 frames / 128 to a sequence / 64 sequences = 22,714.9
        ({"data": "melee", "train": "mamba2", "epochs": 1, "batch": 64, "length": 128}, 22_715),
        # in windows each frame is a sample of its own: 186,080,400 / 1024 = 181,719.1
        ({"data": "melee", "train": "mlp", "epochs": 1, "batch": 1024, "mode": "window"}, 181_720),
        # a tenth of the games has a tenth of the frames: 18,608,040 / 128 / 64 = 2,271.5
        ({"data": "melee", "train": "mlp", "epochs": 1, "batch": 64, "games": 1980}, 2_272),
        # half of three epochs: 1.5 * 309.4
        ({"data": "chess", "train": "lstm", "epochs": 3, "batch": 64, "share": 0.5}, 465),
        ({"data": "chess", "train": "lstm", "epochs": 0.0001, "batch": 64}, 1),
        ({"data": "chess", "train": "lstm", "steps": 400, "share": 0.25}, 100),
    ],
)
def test_steps_follow_from_epochs(stage: dict[str, Any], steps: int) -> None:
    node = nodes_of(train=stage)["train"]
    assert node.steps == steps
    assert node.epochs == stage.get("epochs")


def test_a_training_goes_on_from_another_variant_by_variant() -> None:
    vary = {"vary": {"labels": ["winner", "loser"]}}
    nodes = nodes_of(a=CHESS | vary, b=CHESS | vary | {"continues": "a"})
    assert nodes["b-winner"].continues == nodes["b-winner"].config["continues"] == "a-winner"
    assert nodes["b-loser"].needs == ["chess", "a-loser"]
    assert list(nodes).index("b-winner") > list(nodes).index("a-winner")


def test_variants_may_all_go_on_from_one() -> None:
    vary = {"vary": {"steps": [500, 600]}}
    nodes = nodes_of(b=CHESS | vary | {"continues": "a"}, a=CHESS)
    assert [nodes[f"b-{n}"].continues for n in (500, 600)] == ["a", "a"]


def test_what_a_training_cannot_go_on_from() -> None:
    vary = {"vary": {"labels": ["winner", "loser"]}}
    none = "it continues {!r}, which is no train stage"
    assert none.format("x") in refusal(b=CHESS | {"continues": "x"})
    assert none.format("chess") in refusal(b=CHESS | {"continues": "chess"})
    assert "more than one training" in refusal(a=CHESS | vary, b=CHESS | {"continues": "a"})
    other = CHESS | {"data": "other", "continues": "a"}
    assert "it continues a on other data" in refusal(a=CHESS, b=other)


def test_a_survivor_waits_for_all_variants_of_the_rung_before_it() -> None:
    part = CHESS | {"vary": {"lr": [1, 2]}}
    rung = part | {"share": 0.5, "continues": "a", "survivors": "a"}
    stages = ENCODES | {"a": part | {"share": 0.25}, "a-2": rung}
    choices = {"a": {"among": ["a"], "by": [{"metric": "top1"}]}}
    spec = run_of({"name": "p", "data": DATA, "stages": stages, "choices": choices})
    assert [spec.node(n).steps for n in ("a-1", "a-2-1")] == [100, 200]
    assert spec.node("a-2-1").survives == "a"
    assert spec.waits_for["a-2-1"] == {"chess", "a-1", "a-2"}


def test_what_adopts_a_choice_comes_after_those_that_it_is_among() -> None:
    choices = {"pick": {"among": ["b"], "by": [{"metric": "top1"}]}}
    adopting = {"a": CHESS | {"adopt": ["pick"]}, "b": CHESS}
    spec = run_of({"name": "p", "data": DATA, "stages": ENCODES | adopting, "choices": choices})
    assert [node.name for node in spec.nodes][-2:] == ["b", "a"]
    assert spec.node("a").choices == ["pick"]
    circle = {"name": "p", "data": DATA, "stages": ENCODES | {"b": CHESS | {"adopt": ["pick"]}}}
    with pytest.raises(BadConfig, match=r"wait for each other: b$"):
        run_of(circle | {"choices": choices})


def test_a_calibration_is_a_short_training_of_each_shape() -> None:
    big = CHESS | {"model": {"hidden": 64}}
    nodes = nodes_of(
        cal={"calibrate": ["a", "b", "c"]},
        a=CHESS | {"vary": {"labels": ["winner", "loser"]}},
        b=big | {"resources": {"gpu": "h100"}},
        c=big | {"share": 0.5, "shorten_to": 0.5, "after": ["cal"], "games": 100},
    )
    calibrations = [node for node in nodes.values() if node.stage == "cal"]
    assert [node.name for node in calibrations] == ["cal-a-winner", "cal-b", "cal-c"]
    last = nodes["cal-c"]
    assert (last.steps, last.share, last.shorten_to, last.epochs) == (100, 1.0, 1.0, None)
    assert last.after == ["cal-b"], "one after the other, so that none slows another down"
    assert last.config["name"] == "calibration", "its models are nobody's"
    assert last.config["model"]["hidden"] == 64
    assert (last.config["games"], last.config["validate_games"]) == (None, 8)
    assert last.config["checkpoint_every"] > last.steps
    assert nodes["cal-b"].resources.gpu == "h100"
    assert nodes["c"].steps == 200, "what it calibrates stays as it is"
    assert nodes["c"].after == [node.name for node in calibrations]


@pytest.mark.parametrize(
    "change",
    [
        {"batch": 32},
        {"threads": 1},
        {"processes": 2},
        {"pods": 2},
        {"precision": "bf16"},
        {"model": {"hidden": 8}},
        {"resources": {"gpu": "h100"}},
    ],
)
def test_what_takes_another_time_is_another_shape(change: dict[str, Any]) -> None:
    nodes = nodes_of(cal={"calibrate": ["a", "b"]}, a=CHESS, b=CHESS | change)
    assert {"cal-a", "cal-b"} <= nodes.keys()


def test_one_shape_is_calibrated_once() -> None:
    same = CHESS | {"steps": 9, "games": 7, "lr": 0.1, "seed": 3, "labels": "loser"}
    nodes = nodes_of(cal={"calibrate": ["a", "b"], "steps": 30}, a=CHESS, b=same)
    calibrations = [node for node in nodes.values() if node.stage == "cal"]
    assert [(node.name, node.steps) for node in calibrations] == [("cal-a", 30)]


def test_what_cannot_be_calibrated() -> None:
    for selector in ("x", "chess"):
        says = f"stage cal: it calibrates {selector!r}, which is no train stage"
        assert says in refusal(cal={"calibrate": [selector]}, a=CHESS)
