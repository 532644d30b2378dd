from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from wm.errors import BadConfig
from wmctl.plan.expand import only, write_out
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.plan.model import Plan

TREE: dict[str, Any] = {
    "name": "p",
    "data": {"chess": {"game": "chess", "source": "made:800"}},
    "stages": {
        "enc": {"encode": "chess"},
        "train": {"train": "lstm", "data": "enc", "steps": 1000},
    },
    "scales": {
        "small": {"stages.train.steps": 100, "data.chess.source": "made:8"},
        "tiny": {"stages.train.steps": 10},
    },
}
HALVE = {"rungs": [0.25, 0.5], "by": [{"metric": "top1"}], "keep": 0.5}
VARY = {"vary": {"labels": ["winner", "loser", "all"]}}


def load(folder: Path, tree: dict[str, Any], *sets: str, stages: tuple[str, ...] = ()) -> Plan:
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return load_plan(str(path), sets=sets, stages=stages)


def steps(plan: Plan) -> int:
    found: int = plan.stages["train"].settings["steps"]
    return found


def test_a_scale_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    full, small = load(tmp_path, TREE), load(tmp_path, TREE, "scale=small")
    assert (steps(full), full.data["chess"].source) == (1000, "made:800")
    assert (steps(small), small.data["chess"].source) == (100, "made:8")
    assert small.scale == "small"
    assert small.stages["enc"] == full.stages["enc"]
    tiny = load(tmp_path, TREE, "scale=tiny")
    assert (steps(tiny), tiny.data["chess"].source) == (10, "made:800")


def test_set_counts_more_than_the_scale_wherever_it_stands(tmp_path: Path) -> None:
    sets = ["stages.train.steps=7", "scale=small"]
    for order in (sets, sets[::-1]):
        plan = load(tmp_path, TREE, *order)
        assert (steps(plan), plan.data["chess"].source) == (7, "made:8")


def test_a_plan_may_name_its_scale_and_full_takes_it_as_it_is_written(tmp_path: Path) -> None:
    tree = TREE | {"scale": "small"}
    assert steps(load(tmp_path, tree)) == 100
    assert steps(load(tmp_path, tree, "scale=full")) == 1000


def test_an_unknown_scale_names_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no scale 'smal'") as error:
        load(tmp_path, TREE, "scale=smal")
    assert "did you mean 'small'" in error.value.message
    assert error.value.hint == "its scales: full, small, tiny"


def test_a_scale_that_changes_what_is_not_there_says_which_scale_it_is(tmp_path: Path) -> None:
    tree = TREE | {"scales": {"small": {"stages.trian.steps": 1}}}
    with pytest.raises(BadConfig, match=r"scale small: .*did you mean 'train'"):
        load(tmp_path, tree, "scale=small")


def halved(stage: dict[str, Any], **halve: Any) -> Plan:
    stages = TREE["stages"] | {"train": TREE["stages"]["train"] | stage}
    stages["train"] = stages["train"] | {"halve": HALVE | halve}
    return write_out(Plan.model_validate(TREE | {"stages": stages}))


def test_halving_is_written_out_into_rungs_and_choices() -> None:
    plan = halved(VARY)
    assert list(plan.stages) == ["enc", "train", "train-2", "train-3"]
    rungs = [plan.stages[name] for name in ("train", "train-2", "train-3")]
    assert [rung.share for rung in rungs] == [0.25, 0.5, 1.0]
    assert [rung.continues for rung in rungs] == [None, "train", "train-2"]
    assert [rung.survivors for rung in rungs] == [None, "train", "train-2"]
    assert all(rung.halve is None and rung.vary == VARY["vary"] for rung in rungs)
    assert list(plan.choices) == ["train", "train-2"], "after the last rung none is left out"
    assert [c.among for c in plan.choices.values()] == [["train"], ["train-2"]]
    assert all(c.keep == 0.5 and c.by[0].metric == "top1" for c in plan.choices.values())


def test_a_last_rung_of_all_leaves_some_out_as_well() -> None:
    plan = halved(VARY, rungs=[0.5, 1.0])
    assert [plan.stages[name].share for name in ("train", "train-2")] == [0.5, 1.0]
    assert list(plan.choices) == ["train", "train-2"]
    assert "train-3" not in plan.stages


@pytest.mark.parametrize("rungs", [[0.5, 0.25], [0.5, 0.5]])
def test_rungs_must_ascend(rungs: list[float]) -> None:
    with pytest.raises(BadConfig, match="stage train: the rungs of halve must ascend"):
        halved(VARY, rungs=rungs)


def test_halving_needs_variants() -> None:
    with pytest.raises(BadConfig, match="halve needs variants"):
        halved({})
    assert "train-2" in halved({"variants": {"a": {}, "b": {}}}, rungs=[0.5]).stages


WHOLE: dict[str, Any] = TREE | {
    "data": TREE["data"] | {"melee": {"game": "melee", "source": "made:8"}},
    "stages": {
        "enc": {"encode": "chess"},
        "enc-melee": {"encode": "melee"},
        "first": {"train": "lstm", "data": "enc", "steps": 5, "after": ["mlp"]},
        "more": {
            "train": "lstm",
            "data": "enc",
            "steps": 9,
            "continues": "first",
            "adopt": ["pick"],
            "survivors": "pick",
        },
        "mlp": {"train": "mlp", "data": "enc-melee", "steps": 5},
        "duel": {"arena": "chess", "players": ["more?", "first/*", "random"]},
    },
    "gates": [{"after": "first", "metric": "top1", "above": 0}],
    "choices": {"pick": {"among": ["first"], "by": [{"metric": "top1"}]}},
    "verdicts": {
        "v": {
            "arena": "duel",
            "candidate": "more",
            "criteria": [{"metric": "elo", "against": "first", "above": 0}],
        }
    },
}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (("enc",), ["enc"]),
        (("more",), ["enc", "first", "more"]),
        (("duel",), ["enc", "first", "more", "duel"]),
        (("mlp", "enc"), ["enc", "enc-melee", "mlp"]),
    ],
)
def test_only_some_stages_with_what_they_need(
    tmp_path: Path, wanted: tuple[str, ...], kept: list[str]
) -> None:
    plan = load(tmp_path, WHOLE, stages=wanted)
    assert list(plan.stages) == kept
    assert (plan.gates, plan.choices, plan.verdicts) == ([], {}, {})
    assert all(not s.after and not s.adopt and not s.survivors for s in plan.stages.values())


@pytest.mark.parametrize("scales", [{}, None])
def test_a_plan_without_scales_has_none_but_full(tmp_path: Path, scales: Any) -> None:
    tree = {key: value for key, value in TREE.items() if key != "scales"}
    assert steps(load(tmp_path, tree, "scale=full")) == 1000
    with pytest.raises(BadConfig, match="no scale 'small'") as error:
        load(tmp_path, tree | ({} if scales is None else {"scales": scales}), "scale=small")
    assert error.value.hint == "its scales: full"


@pytest.mark.parametrize("scales", [["small"], {"small": 3}])
def test_scales_that_are_none_are_one_sentence(tmp_path: Path, scales: Any) -> None:
    with pytest.raises(BadConfig, match=r"'?scales") as error:
        load(tmp_path, TREE | {"scales": scales}, "scale=small")
    assert "\n" not in error.value.message


def test_only_what_is_there() -> None:
    with pytest.raises(BadConfig, match=r"has no stage 'mor'.*did you mean 'more'"):
        only(Plan.model_validate(WHOLE), ["mor"])


def test_what_plays_if_it_is_chosen_comes_with_its_choice(tmp_path: Path) -> None:
    duel = WHOLE["stages"]["duel"] | {"players": ["chosen(pick)?", "random"]}
    tree = WHOLE | {"stages": WHOLE["stages"] | {"duel": duel}}
    tree["choices"] = WHOLE["choices"] | {"other": {"among": ["more"], "fits": True}}
    plan = load(tmp_path, tree, stages=("duel",))
    assert list(plan.stages) == ["enc", "first", "duel"]
    assert list(plan.choices) == ["pick"]
    assert resolve(plan, lambda game, name: None)[-1].seats[0].choice == "pick"
