"""What is told of a run: runs, status, logs, report."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import wmctl
from tests.support.runs import Script, small_run
from wm.stage.chunks import read_log
from wm.store import open_store
from wm.store.lease import Lease, Owner
from wmctl.plan.graph import resolve
from wmctl.plan.load import load_plan
from wmctl.run.history import History
from wmctl.run.spec import RunSpec, submit

STAGES = [
    "encode-chess",
    "encode-melee",
    "train-chess/winner",
    "train-chess/loser",
    "train-mlp",
    "train-mamba2",
    "arena-chess",
    "arena-melee",
]


def name_of(store: Path) -> str:
    return next(path.name for path in (store / "runs").iterdir())


def begin(root: Path, script: Script, **changes: Any) -> None:
    """A run in the store that got as far as the script says."""
    store, spec = open_store(str(root)), small_run(**changes)
    store.put("runs/r/spec.json", spec.model_dump_json().encode())
    history = History(store, "r")
    for event in script.events:
        fields = event.model_dump(exclude={"time", "event"}, exclude_defaults=True)
        history.append(event.event, **fields)


def test_runs_are_listed_with_their_verdicts(finished: Path) -> None:
    answer = wmctl(finished, "runs")
    assert (answer.code, answer.err) == (0, "")
    titles, row = answer.out.splitlines()
    words = ["run", "created", "stages", "state", "time", "cost", "deadline", "verdicts"]
    assert titles.split() == words
    assert row.startswith(name_of(finished))
    assert " 8/8 " in row
    assert "finished" in row
    assert " $0.0" in row
    assert " kept " in row
    (run,) = wmctl(finished, "runs", "--json").json
    assert run["run"] == name_of(finished)
    assert set(run["verdicts"]) == {"chess", "melee"}
    assert 0 < run["usd"] < 1
    assert 0 < run["seconds"] < 3600
    assert (run["budget"], run["deadline_kept"]) == (None, True)
    assert run["deadline"] > 0


def test_a_run_under_way_is_listed_as_open(tmp_path: Path) -> None:
    begin(tmp_path, Script().add("submitted").walk("enc").add("started", stage="train-winner"))
    row = wmctl(tmp_path, "runs").out.splitlines()[1].split()
    assert row[:4] == ["r", "1970-01-01T00:00:00Z", "1/4", "open"]
    assert row[-1] == "none", "it has no deadline"


def test_a_run_that_was_not_in_time_says_so(tmp_path: Path) -> None:
    detail = {"deadline": 2.5, "prices": {"cpu": 3600}}
    begin(tmp_path, Script().add("submitted", detail=detail), budget=9)
    assert " of $9.00 " in wmctl(tmp_path, "runs").out
    assert wmctl(tmp_path, "runs").out.split()[-1] == "missed"
    (run,) = wmctl(tmp_path, "runs", "--json").json
    assert (run["budget"], run["deadline"], run["deadline_kept"]) == (9, 2.5, False)


def test_status_shows_every_stage_and_the_verdicts(finished: Path) -> None:
    answer = wmctl(finished, "status")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == name_of(finished)
    assert [line.split()[0] for line in lines[2:10]] == STAGES
    assert all(line.split()[1] == "done" for line in lines[2:10])
    assert "26 train, 10 val, 4 test games" in answer.out
    assert "12 steps" in answer.out
    assert "\nchess: " in answer.out
    assert "\nmelee: " in answer.out
    assert lines[-1] == f"report: {finished}/runs/{name_of(finished)}/index.html"


def test_status_as_json(finished: Path) -> None:
    status = wmctl(finished, "status", "--json").json
    assert list(status["stages"]) == STAGES
    assert status["stages"]["train-mlp"]["result"]["step"] == 12
    assert status["stages"]["train-mlp"]["heartbeat"]["done"] == 12
    assert set(status["verdicts"]) == {"chess", "melee"}
    assert status["cost"]["usd"] == pytest.approx(
        sum(stage["usd"] for stage in status["stages"].values()), abs=1e-5
    )
    assert status["forecast"]["deadline_kept"] is True
    assert status["decisions"] == [], "the tiny plan has no gates"


def test_status_says_what_was_decided_and_what_is_left_out(tmp_path: Path) -> None:
    text = "no room for train-loser: the run would cost $21.30 of $20"
    script = Script().add("submitted").walk("enc")
    script.add("skipped", text=text, detail={"stages": ["train-loser"]})
    begin(tmp_path, script, budget=20)
    lines = wmctl(tmp_path, "status").out.splitlines()
    assert any("train/loser" in line and "skipped" in line and text in line for line in lines)
    assert any(line.startswith("cost    ") and " of $20.00" in line for line in lines)
    assert lines[-1].endswith(f" • left out: {text}")
    status = wmctl(tmp_path, "status", "--json").json
    assert status["stages"]["train/loser"]["why"] == text
    assert status["cost"]["budget"] == 20
    (decision,) = status["decisions"]
    assert decision["event"] == "skipped"
    assert decision["text"] == f"left out: {text}"


def test_status_watch_of_a_finished_run_ends_at_once(finished: Path) -> None:
    answer = wmctl(finished, "status", "--watch")
    assert answer.code == 0
    assert "arena-melee" in answer.out


def test_status_of_a_run_under_way_says_how_far_it_is(tmp_path: Path) -> None:
    begin(
        tmp_path,
        Script()
        .add("submitted")
        .walk("enc")
        .add("started", stage="train-winner", attempt=1)
        .add("started", stage="train-loser", attempt=1)
        .add(
            "ended",
            stage="train-loser",
            attempt=1,
            code=65,
            text="shard train-00000 is damaged",
            hint="encode again",
        ),
    )
    beat = b'{"time": 1, "done": 1200, "total": 4000, "unit": "steps", "facts": {"loss": 5.125}}'
    open_store(str(tmp_path)).put("runs/r/train-winner/01/heartbeat.json", beat)
    lines = {line.split()[0]: line for line in wmctl(tmp_path, "status").out.splitlines() if line}
    assert "1,200/4,000 steps, loss 5.125" in lines["train/winner"]
    assert "shard train-00000 is damaged" in lines["train/loser"]
    assert "blocked" in lines["arena"]
    assert "train-loser failed" in lines["arena"]


def test_a_run_is_found_by_the_beginning_of_its_name(finished: Path) -> None:
    assert wmctl(finished, "status", "demo-").out.splitlines()[0] == name_of(finished)


def test_a_run_that_is_not_there_is_named_with_the_nearest(finished: Path) -> None:
    name = name_of(finished)
    wrong = name[:-1] + ("a" if name[-1] != "a" else "b")
    answer = wmctl(finished, "status", wrong)
    assert answer.code == 66
    assert f"there is no run {wrong!r}" in answer.err
    assert f"(did you mean {name!r}?)" in answer.err
    assert "hint: wmctl runs lists them" in answer.err


def test_logs_of_all_stages_name_the_stage_on_each_line(finished: Path) -> None:
    answer = wmctl(finished, "logs")
    assert answer.code == 0
    assert {line.partition(":")[0] for line in answer.out.splitlines()} == {
        stage.replace("/", "-") for stage in STAGES
    }


@pytest.mark.parametrize("name", ["train-chess/winner", "train-chess-winner"])
def test_logs_of_one_stage_are_its_lines(finished: Path, name: str) -> None:
    answer = wmctl(finished, "logs", name_of(finished), name)
    prefix = f"runs/{name_of(finished)}/train-chess-winner/01"
    assert answer.out == read_log(open_store(str(finished)), prefix).decode()


def test_logs_followed_end_with_the_run(finished: Path) -> None:
    answer = wmctl(finished, "logs", name_of(finished), "train-mlp", "-f", "--attempt", "1")
    assert "step 12 of 12" in answer.out


def test_logs_of_an_unknown_stage_name_the_nearest(finished: Path) -> None:
    answer = wmctl(finished, "logs", name_of(finished), "train-mpl")
    assert answer.code == 66
    assert "has no stage 'train-mpl' (did you mean 'train-mlp'?)" in answer.err
    assert "train-chess/winner" in answer.err.splitlines()[1]


def test_logs_of_an_attempt_that_never_was_say_so(finished: Path) -> None:
    answer = wmctl(finished, "logs", name_of(finished), "train-mlp", "--attempt", "9")
    assert (answer.code, answer.out) == (0, "")
    assert "has written no log yet" in answer.err


def test_the_report_is_written_and_its_verdict_shown(mine: Path) -> None:
    page = mine / "runs" / name_of(mine) / "index.html"
    page.unlink()
    answer = wmctl(mine, "report", "-o", str(mine.parent / "copy.html"))
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0] == name_of(mine)
    assert lines[-1] == f"report: {page}"
    assert "chess: " in answer.out
    assert page.read_text().startswith("<!doctype html>")
    assert (mine.parent / "copy.html").read_text().startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_where_it_is_wanted(mine: Path) -> None:
    answer = wmctl(mine, "report", "-o", "/nowhere/report.html")
    assert answer.code == 64
    assert answer.err.startswith("error: /nowhere/report.html cannot be written: No such file")


def test_the_report_as_json_holds_verdicts_figures_and_lineage(finished: Path) -> None:
    report = wmctl(finished, "report", "--json").json
    assert report["run"] == name_of(finished)
    assert report["code"] == 0
    for verdict in report["verdicts"].values():
        assert verdict["outcome"] in {"promote", "hold"}
        assert verdict["evidence"][0]["figure"]["n"] > 0
    assert set(report["stages"]) == set(STAGES)
    assert all(stage["seconds"] > 0 for stage in report["stages"].values())
    assert len(report["lineage"]) == 4
    for row in report["lineage"]:
        assert len(row["weights_sha256"]) == len(row["inputs_sha256"]) == 64
        assert row["inputs"]
    assert set(report["arenas"]) == {"arena-chess", "arena-melee"}
    assert 0 < report["cost"]["usd"] < 1
    assert report["terms"]["on"] == "local"
    assert report["terms"]["confidence"] == 0.9
    assert report["choices"] == {}
    assert report["decisions"] == []


def test_a_report_of_a_moved_store_still_finds_everything(mine: Path, tmp_path: Path) -> None:
    """Keys are relative: a store may be copied to another machine with its runs."""
    moved = tmp_path / "elsewhere"
    shutil.move(mine, moved)
    assert wmctl(moved, "report", "--json").json["lineage"]


def entered(folder: Path) -> tuple[Path, Path, RunSpec]:
    """A store with a run of one stage, and its plan."""
    plan, root = folder / "plan.yaml", folder / "store"
    plan.write_text(
        "name: small\n"
        "data: {chess: {game: chess, source: 'made:8'}}\n"
        "stages: {enc: {encode: chess}}\n"
    )
    checked = load_plan(str(plan))
    store = open_store(str(root))
    return root, plan, submit(store, checked, resolve(checked, lambda game, name: None))


def test_submitting_a_finished_run_says_so_and_shows_the_verdict(tmp_path: Path) -> None:
    store, plan, spec = entered(tmp_path)
    history = History(open_store(str(store)), spec.run)
    history.append("submitted")
    history.append("started", stage="enc", attempt=1)
    history.append("ended", stage="enc", attempt=1, code=0, detail={"dataset": "datasets/x/y"})
    history.append("finished", code=0, text="every stage has ended")
    answer = wmctl(store, "submit", str(plan))
    assert (answer.code, answer.err) == (0, "")
    first, *_, last = answer.out.splitlines()
    assert first == f"{spec.run} is finished; --new runs the plan again"
    assert last == f"report: none yet; wmctl report {spec.run} writes it"


def test_submitting_a_run_that_is_under_way_names_who_conducts_it(tmp_path: Path) -> None:
    store, plan, spec = entered(tmp_path)
    key = f"runs/{spec.run}/lease.json"
    with Lease.acquire(open_store(str(store)), key, Owner.here(), 60):
        answer = wmctl(store, "submit", str(plan))
    assert answer.code == 64
    error, hint = answer.err.splitlines()
    assert error.startswith(f"error: {spec.run} is under way already: the lease {key} is taken")
    assert f"process {os.getpid()} on " in error
    assert hint.startswith(f"hint: wmctl status {spec.run} --watch shows it")


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    begin(tmp_path, Script().add("submitted"))
    events = tmp_path / "runs" / "r" / "events.jsonl"
    events.write_text('{"time": 1, "event": "subm')
    answer = wmctl(tmp_path, "status", "r")
    assert (answer.code, answer.out) == (65, "")
    assert answer.err.startswith(f"error: {events} is damaged or of another version of wmctl\n")
