"""``wmctl compare``: two runs side by side."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import wmctl
from tests.support.reports import arena, interval
from tests.support.runs import PLAN, RESULTS, Script, small_run
from wm.artifacts.result import PlayerRow
from wm.store import Store, open_store
from wmctl.run.history import History


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def enter(store: Store, run: str, *, top1: float, elo: float, **changes: Any) -> None:
    """A run of an hour at a dollar an hour that has ended with these figures."""
    spec = small_run(**changes).model_copy(update={"run": run})
    store.put(f"runs/{run}/spec.json", spec.model_dump_json().encode())
    key = f"runs/{run}/arena/01/result.json"
    players = [PlayerRow(name="train/winner", rating=interval(elo, elo - 20, elo + 20))]
    players.append(PlayerRow(name="random", rating=interval(0, 0, 0)))
    store.put(key, arena(*players).model_dump_json().encode())
    script = Script().add("submitted", detail={"prices": {"cpu": 1}})
    for node in spec.nodes:
        detail = deepcopy(RESULTS.get(node.name, {"step": 5, "metrics": {}}))
        detail.pop("model", None)
        detail.pop("dataset", None)
        if node.kind == "train":
            detail["metrics"] = {"top1": top1, "action_accuracy_copy": 0.5}
        if node.kind == "arena":
            detail = {"result": key}
        script.add("started", stage=node.name, attempt=1)
        script.now += 3599
        script.add("ended", stage=node.name, attempt=1, code=0, detail=detail)
    script.add("verdict", name="chess", outcome="hold" if elo < 100 else "promote", text="so")
    script.add("finished", code=0)
    history = History(store, run)
    for event in script.events:
        fields = event.model_dump(exclude={"time", "event"}, exclude_defaults=True)
        history.append(event.event, at=event.time, **fields)


def sections(out: str) -> dict[str, list[list[str]]]:
    """Title -> the words of its rows, without the heading row."""
    parts = out.strip().split("\n\n")
    return {p.splitlines()[0]: [line.split() for line in p.splitlines()[2:]] for p in parts}


def test_two_runs_of_one_plan(store: Store, tmp_path: Path) -> None:
    changed = deepcopy(PLAN["stages"])
    changed["train"] |= {"steps": 9, "lr": 0.01}
    enter(store, "r1", top1=0.25, elo=50)
    enter(store, "r2", top1=0.5, elo=150, stages=changed, budget=20)
    answer = wmctl(tmp_path, "compare", "r1", "r2")
    assert (answer.code, answer.err) == (0, "")
    found = sections(answer.out)
    differing = [row[-3:] for row in found["settings that differ"]]
    assert differing == [
        ["budget", "–", "20.0"],
        ["steps", "5", "9"],
        ["lr", "0.001", "0.01"],
        ["steps", "5", "9"],
        ["lr", "0.001", "0.01"],
    ]
    assert found["settings that differ"][1][0] == "train/winner"
    assert found["stages"][0] == ["enc", *["done", "1h", "00m", "$1.00"] * 2]
    assert found["held-out figures"][0] == ["train/winner", "top1", "0.25", "0.5", "+0.25"]
    assert "2 more figures: --json" in answer.out, "a baseline's are for machines"
    ratings = found["ratings in Elo (95 %)"]
    assert ratings[0] == ["arena", "train/winner", "50", "[30,", "70]", "150", "[130,", "170]"]
    assert found["verdicts"] == [["arena", "chess", "hold", "promote"]]
    assert answer.out.splitlines()[-1] == "r1: 4h 00m, $4.00; r2: 4h 00m, $4.00"


def test_two_runs_that_do_the_same(store: Store, tmp_path: Path) -> None:
    enter(store, "r1", top1=0.25, elo=50)
    enter(store, "r2", top1=0.25, elo=50)
    out = wmctl(tmp_path, "compare", "r1", "r2").out
    assert out.startswith("both do the same: no setting differs\n")


def test_runs_of_different_plans(store: Store, tmp_path: Path) -> None:
    stages = deepcopy(PLAN["stages"])
    stages["big"] = stages["train"] | {"steps": 50}
    del stages["big"]["vary"]
    enter(store, "r1", top1=0.25, elo=50)
    enter(store, "r2", top1=0.25, elo=50, stages=stages, name="larger")
    found = sections(wmctl(tmp_path, "compare", "r1", "r2").out)
    settings = found["settings that differ"]
    assert settings[0] == ["plan", "name", "small", "larger"]
    assert ["big", "–", "there"] in settings
    (row,) = [row for row in found["stages"] if row[0] == "big"]
    assert row == ["big", "not", "in", "this", "run", "done", "1h", "00m", "$1.00"]
    (figure,) = [row for row in found["held-out figures"] if row[0] == "big"]
    assert figure == ["big", "top1", "–", "0.25", "–"]


def test_as_json(store: Store, tmp_path: Path) -> None:
    enter(store, "r1", top1=0.25, elo=50)
    enter(store, "r2", top1=0.5, elo=150, budget=20)
    made = wmctl(tmp_path, "compare", "r1", "r2", "--json").json
    assert (made["a"], made["b"]) == ("r1", "r2")
    assert made["settings"] == [{"of": "plan", "name": "budget", "a": None, "b": 20.0}]
    assert {"of": "run", "name": "usd", "a": 4.0, "b": 4.0} in [
        pair | {"a": round(pair["a"], 2), "b": round(pair["b"], 2)} for pair in made["totals"]
    ]
    assert made["ratings"][0]["b"] == {"value": 150, "low": 130, "high": 170, "n": 4}
    assert len(made["metrics"]) == 4


def test_a_run_with_itself_under_way(store: Store, tmp_path: Path) -> None:
    store.put("runs/r/spec.json", small_run().model_dump_json().encode())
    History(store, "r").append("submitted")
    found = sections(wmctl(tmp_path, "compare", "r", "r").out)
    assert found["stages"][0] == ["enc", "waiting", "waiting"]
    assert found["verdicts"] == [["arena", "chess", "open", "open"]]
