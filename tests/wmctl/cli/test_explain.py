"""``wmctl explain``: what a run decided comes out the same again, or it is said what does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.cli import wmctl
from tests.support.runs import Script, small_run
from wm.store import open_store
from wmctl.run.history import History


def begin(root: Path, script: Script, **changes: Any) -> None:
    """A run in the store that got as far as the script says, at the script's moments."""
    store = open_store(str(root))
    store.put("runs/r/spec.json", small_run(**changes).model_dump_json().encode())
    history = History(store, "r")
    for event in script.events:
        fields = event.model_dump(exclude={"time", "event"}, exclude_defaults=True)
        history.append(event.event, at=event.time, **fields)


def events_file(store: Path) -> Path:
    return next((store / "runs").iterdir()) / "events.jsonl"


def test_a_whole_run_comes_out_the_same_again(finished: Path) -> None:
    answer = wmctl(finished, "explain")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].endswith(", plan demo")
    head = {line.split()[0]: line for line in lines[1:6]}
    assert "this machine" in head["on"]
    assert head["budget"].split() == ["budget", "none"]
    assert "$0.04 a core-hour" in head["prices"]
    assert head["confidence"].startswith("confidence  90 %")
    rows = [line.split(maxsplit=2) for line in lines[8:-2]]
    assert all(row[0].count(":") == 2 for row in rows)
    assert [row[1] for row in rows].count("started") == 8
    assert [row[1] for row in rows].count("verdict") == 2
    assert any(row[2].startswith("train-mlp started, 12 steps") for row in rows)
    assert any(row[2].startswith(("chess: hold", "chess: promote")) for row in rows)
    assert lines[-1] == f"{len(rows)} decisions, all of them come out the same again"
    assert "now:" not in answer.out


def test_as_json(finished: Path) -> None:
    made = wmctl(finished, "explain", "--json").json
    assert made["same"] is True
    assert made["terms"]["prices"]["cpu"] == 0.04
    assert made["terms"]["confidence"] == 0.9
    assert all(one["same"] and one["again"] == "" for one in made["decisions"])
    first = made["decisions"][0]
    assert first["event"]["event"] == "started"
    assert first["text"] == f"{first['event']['stage']} started"


def test_a_decision_that_does_not_follow_is_shown_with_what_does(mine: Path) -> None:
    """Somebody has turned a verdict round in the store."""
    path = events_file(mine)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    verdict = next(line for line in lines if line["event"] == "verdict")
    verdict["outcome"] = {"hold": "promote", "promote": "hold"}[verdict["outcome"]]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = wmctl(mine, "explain")
    assert answer.code == 70
    assert answer.out.count("now: ") == 1
    last = answer.out.splitlines()[-1]
    assert last.endswith(" decisions, 1 of them comes out differently now")
    made = wmctl(mine, "explain", "--json")
    assert made.code == 70
    assert made.json["same"] is False
    (other,) = [one for one in made.json["decisions"] if not one["same"]]
    assert other["again"]


def test_sentences_with_their_numbers_and_what_was_accepted(tmp_path: Path) -> None:
    gate = {"after": "train", "metric": "top1", "at_least": 0.2}
    script = Script()
    terms = {"accepted": ["too dear"], "deadline": 1e9, "prices": {"cpu": 0.05}}
    script.add("submitted", detail=terms).walk("enc", "train-winner", "train-loser")
    text = "train/winner: top1 is 0.3, at least 0.2; train/loser: top1 is 0.1, not at least 0.2"
    script.add("gate", name="train: top1 >= 0.2", outcome="fail", text=f"{text}: failed")
    begin(tmp_path, script, gates=[gate], budget=9)
    answer = wmctl(tmp_path, "explain")
    assert f"  gate      {text}: failed" in answer.out
    assert "accepted    too dear" in answer.out
    assert "budget      $9.00" in answer.out
    assert "prices      $0.05 a core-hour" in answer.out


def test_a_run_of_which_nothing_was_decided(tmp_path: Path) -> None:
    begin(tmp_path, Script())
    answer = wmctl(tmp_path, "explain")
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "nothing has been decided yet"


def test_an_arena_result_that_is_gone_is_named(mine: Path) -> None:
    (result,) = (mine / "runs").glob("*/arena-chess/01/result.json")
    result.unlink()
    answer = wmctl(mine, "explain")
    assert answer.code == 66
    assert answer.err.startswith("error: the arena's result runs/")
    assert "hint: what was decided on it cannot be decided again" in answer.err
