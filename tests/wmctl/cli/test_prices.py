"""``wmctl prices``: what machines cost a run, shown and changed."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import wmctl
from tests.support.runs import PLAN, Script
from tests.wmctl.cli.test_explain import begin
from wm.store import open_store
from wmctl.run.price_list import read_price_list


def night(root: Path, *more: str) -> None:
    """A run on a cluster whose trainings use an h100-spot."""
    stages: dict[str, Any] = deepcopy(PLAN["stages"])
    stages["train"]["resources"] = {"gpu": "h100-spot"}
    prices = {"cpu": 0.04, "gpus": {"h100": 3.0, "h100-spot": 1.5}}
    script = Script().add("submitted", detail={"on": "kubernetes", "prices": prices})
    for kind in more:
        script.add(kind, code=0)
    begin(root, script, stages=stages)


def rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:] if line}


def test_prices_are_shown_with_what_they_count_for(tmp_path: Path) -> None:
    night(tmp_path)
    answer = wmctl(tmp_path, "prices")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[0].startswith("r is counted with these prices since ")
    assert rows(answer.out) == {
        "cpu": ["0.04", "core-hour", "2", "stages"],
        "h100": ["3", "GPU-hour"],
        "h100-spot": ["1.5", "GPU-hour", "2", "stages"],
        "gb_month": ["0", "GB-month", "kept", "1", "stage"],
        "gb_read": ["0", "GB", "read", "2", "stages"],
    }
    shown = wmctl(tmp_path, "prices", "r", "--json").json
    assert shown["prices"]["gpus"]["h100-spot"] == 1.5
    assert (shown["since"], shown["asked"]) == (1, None)


def test_prices_are_changed_for_the_conductor_to_take_up(tmp_path: Path) -> None:
    night(tmp_path)
    answer = wmctl(tmp_path, "prices", "r", "h100-spot=2.10", "cpu=$0.05")
    assert (answer.code, answer.err) == (0, "")
    assert rows(answer.out)["h100-spot"] == ["1.5", "GPU-hour", "2", "stages", "2.1"]
    assert rows(answer.out)["h100"] == ["3", "GPU-hour"], "it stays"
    assert "the conductor takes them up within a minute" in answer.out
    listed = read_price_list(open_store(str(tmp_path)), "r").prices
    assert (listed.cpu, listed.gpus) == (0.05, {"h100": 3.0, "h100-spot": 2.1})


def test_a_second_change_does_not_undo_the_first(tmp_path: Path) -> None:
    night(tmp_path)
    wmctl(tmp_path, "prices", "r", "cpu=0.05")
    wmctl(tmp_path, "prices", "r", "gb_read=0.01")
    listed = read_price_list(open_store(str(tmp_path)), "r").prices
    assert (listed.cpu, listed.gb_read) == (0.05, 0.01)
    shown = wmctl(tmp_path, "prices", "--json").json
    assert shown["prices"]["cpu"] == 0.04
    assert shown["asked"]["prices"]["cpu"] == 0.05


@pytest.mark.parametrize(
    ("change", "error", "hint"),
    [
        ("h100-sopt=2", "there is no price 'h100-sopt' (did you mean 'h100-spot'?)", "cpu, gb_"),
        ("cpu=cheap", "cpu=cheap: expected USD, 0 or more", "h100-spot=2.10"),
        ("cpu=-1", "cpu=-1: expected USD, 0 or more", "h100-spot=2.10"),
        ("cpu=nan", "cpu=nan: expected USD, 0 or more", "h100-spot=2.10"),
        ("h100=inf", "h100=inf: expected USD, 0 or more", "h100-spot=2.10"),
        ("cpu", "cpu: expected USD, 0 or more", "h100-spot=2.10"),
    ],
)
def test_what_is_no_price(tmp_path: Path, change: str, error: str, hint: str) -> None:
    night(tmp_path)
    answer = wmctl(tmp_path, "prices", "r", "cpu=1", change)
    assert (answer.code, answer.out) == (64, "")
    assert answer.err.startswith(f"error: {error}\nhint: ")
    assert hint in answer.err
    assert open_store(str(tmp_path)).head("runs/r/prices.json") is None, "nothing is changed"


def test_a_change_names_its_run(tmp_path: Path) -> None:
    night(tmp_path)
    answer = wmctl(tmp_path, "prices", "cpu=1")
    assert answer.code == 64
    assert "say first which run: wmctl prices RUN cpu=1" in answer.err


def test_a_finished_run_is_counted(tmp_path: Path) -> None:
    night(tmp_path, "finished")
    answer = wmctl(tmp_path, "prices", "r", "cpu=1")
    assert answer.code == 64
    assert "r is finished: nobody would count with other prices" in answer.err
    assert wmctl(tmp_path, "prices", "r").code == 0


def test_a_run_that_was_never_submitted(tmp_path: Path) -> None:
    begin(tmp_path, Script())
    assert wmctl(tmp_path, "prices").out == "r is not submitted yet\n"
    assert wmctl(tmp_path, "prices", "r", "cpu=1").code == 64
