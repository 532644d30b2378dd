from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import wmctl


def test_the_plan_is_shown_with_work_time_and_where_the_time_is_from(tmp_path: Path) -> None:
    answer = wmctl(tmp_path / "store", "plan", "demo", "--cpus", "2")
    assert (answer.code, answer.err) == (0, "")
    about, titles, *rows, total = answer.out.splitlines()
    assert about.startswith("demo: Both games from raw files to a verdict")
    assert titles.split() == ["stage", "needs", "work", "time", "from"]
    stages = {row.split()[0]: row for row in rows}
    assert list(stages) == [
        "encode-chess",
        "encode-melee",
        "train-chess/winner",
        "train-chess/loser",
        "train-mlp",
        "train-mamba2",
        "arena-chess",
        "arena-melee",
    ]
    assert "train-chess/winner, train-chess/loser" in stages["arena-chess"]
    assert all(row.rstrip().endswith("guess") for row in rows)
    assert total.startswith("about ")
    assert total.endswith("on 2 cores, deadline 1h 00m")
    assert not (tmp_path / "store").exists(), "nothing is started, nothing is written"


def test_the_plan_as_json_has_every_resolved_setting(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "plan", "demo", "--json", "--set", "stages.train-mlp.steps=77")
    assert answer.code == 0
    plan = answer.json
    assert plan["plan"] == "demo"
    stages = {stage["name"]: stage for stage in plan["stages"]}
    assert stages["train-mlp"]["config"]["steps"] == 77
    assert stages["train-mlp"]["config"]["model"]["kind"] == "mlp"
    assert stages["train-chess-winner"]["config"]["labels"] == "winner"
    assert all(stage["seconds"] > 0 and stage["source"] == "guess" for stage in stages.values())
    assert plan["seconds"] >= max(stage["seconds"] for stage in stages.values())


def test_one_core_takes_longer_than_two(tmp_path: Path) -> None:
    one, two = (wmctl(tmp_path, "plan", "demo", "--cpus", n, "--json").json for n in "12")
    assert one["seconds"] > two["seconds"]


def test_times_are_those_of_an_earlier_run(finished: Path) -> None:
    answer = wmctl(finished, "plan", "demo")
    encode = next(line for line in answer.out.splitlines() if line.startswith("encode-chess"))
    assert encode.rstrip().endswith(next((finished / "runs").iterdir()).name)


@pytest.mark.parametrize("words", [["plan", "demo"], ["submit", "demo"]])
def test_data_of_ones_own_must_not_be_misspelt(tmp_path: Path, words: list[str]) -> None:
    answer = wmctl(tmp_path, *words, "--data", "mele=replays")
    assert answer.code == 64
    assert answer.err.startswith(
        "error: plan demo has no data named 'mele' (did you mean 'melee'?)"
    )
