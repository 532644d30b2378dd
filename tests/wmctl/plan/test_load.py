from __future__ import annotations

from pathlib import Path

import pytest

from wm.errors import BadConfig, InputMissing
from wmctl.plan.load import load_plan, shipped_plans

SMALL = """
name: small
deadline: 90s
data:
  chess: {game: chess, source: "made:8"}
stages:
  encode-chess: {encode: chess}
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)


def test_a_plan_is_read_from_a_file(small: str) -> None:
    plan = load_plan(small)
    assert plan.name == "small"
    assert plan.deadline == "90s"
    assert plan.stages["encode-chess"].encode == "chess"


def test_every_shipped_plan_is_valid() -> None:
    assert "demo" in shipped_plans()
    for name in shipped_plans():
        assert load_plan(name).name == name.replace("_", "-")


def test_data_and_set_override(small: str, tmp_path: Path) -> None:
    plan = load_plan(
        small,
        data=["chess=s3://bucket/games"],
        sets=["deadline=2h", "stages.encode-chess.workers=3"],
    )
    assert plan.data["chess"].source == "s3://bucket/games"
    assert plan.deadline == "2h"
    assert plan.stages["encode-chess"].settings == {"workers": 3}


def test_one_setting_of_several_stages_and_an_item_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    more = "  more: {encode: chess}\n  duel: {arena: chess, players: [greedy, random]}\n"
    path.write_text(SMALL + more)
    sets = ["stages.encode-chess,more.split={val: 0.2}", "stages.duel.players.1=base"]
    stages = load_plan(str(path), sets=[*sets, "stages.more.split.val=0.1"]).stages
    assert stages["encode-chess"].settings["split"] == {"val": 0.2}
    assert stages["more"].settings["split"] == {"val": 0.1}
    assert stages["duel"].players == ["greedy", "base"]
    for index in ("2", "last"):
        with pytest.raises(BadConfig, match=f"'{index}' is no item of a list of 2"):
            load_plan(str(path), sets=[f"stages.duel.players.{index}=base"])


def test_what_an_alias_shares_is_set_in_one_place(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    first = "first: {encode: chess, resources: &small {memory: 1Gi}}"
    path.write_text(
        SMALL.replace("encode-chess:", f"{first}\n  second:").replace(
            "{encode: chess}", "{encode: chess, resources: *small}"
        )
    )
    stages = load_plan(str(path), sets=("stages.first.resources.memory=2Gi",)).stages
    assert [stage.resources.memory for stage in stages.values()] == ["2Gi", "1Gi"]


def test_an_alias_that_holds_itself_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("&a [*a]")
    with pytest.raises(BadConfig, match="an alias holds itself"):
        load_plan(str(path))


def test_a_relative_source_is_made_absolute(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = load_plan(small, data=["chess=games.pgn"])
    assert plan.data["chess"].source == str(tmp_path / "games.pgn")


@pytest.mark.parametrize("source", ["made:8", "raw:chess/mine", "s3://bucket/games"])
def test_a_source_that_is_no_path_stays_as_it_is(small: str, source: str) -> None:
    assert load_plan(small, data=[f"chess={source}"]).data["chess"].source == source


def test_what_a_plan_file_names_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.yaml").write_text(SMALL.replace("made:8", "raw/games.pgn"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    plan = load_plan("../plan.yaml")
    assert Path(plan.data["chess"].source).resolve() == tmp_path / "raw" / "games.pgn"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("name: small", "name: small\nbudgets: 3"), "unknown key 'budgets'"),
        (("deadline: 90s", "deadlin: 90s"), "did you mean 'deadline'"),
        (("deadline: 90s", "deadline: soon"), "deadline"),
        (("game: chess", "game: go"), "data.chess.game"),
        (("game: chess, ", ""), "'data.chess.game' is missing"),
        (("name: small", "name: Small Plan"), "name"),
        ((SMALL, "- a list"), "not a mapping"),
        (("name: small", "name: [small"), "not YAML"),
    ],
)
def test_a_wrong_plan_is_one_sentence(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(SMALL.replace(*change))
    with pytest.raises(BadConfig) as error:
        load_plan(str(path))
    assert says in error.value.message
    assert "\n" not in error.value.message


def test_an_unknown_plan_names_the_near_one() -> None:
    with pytest.raises(InputMissing, match="did you mean 'demo'"):
        load_plan("dmeo")
    with pytest.raises(InputMissing, match="no plan file"):
        load_plan("nowhere.yaml")


def test_overrides_of_what_is_not_there(small: str) -> None:
    with pytest.raises(BadConfig, match="did you mean 'chess'"):
        load_plan(small, data=["ches=games.pgn"])
    with pytest.raises(BadConfig, match="did you mean 'encode-chess'"):
        load_plan(small, sets=["stages.encode-ches.workers=3"])
    with pytest.raises(BadConfig, match="expected NAME=VALUE"):
        load_plan(small, sets=["deadline"])
