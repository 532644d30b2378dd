"""A run as it is shown while it goes on, and how it ended."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.support.runs import PLAN, Script, small_run
from wm.stage import Heartbeat
from wm.store import Store, open_store
from wmctl.launch.base import Observation, StageJob
from wmctl.run.fold import read_state
from wmctl.run.outlook import outlook, write_outlook
from wmctl.run.phases import Phases
from wmctl.show.outcome import show_outcome
from wmctl.show.progress import LiveProgress, PlainProgress, table


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def beat(store: Store, stage: str, **fields: Any) -> None:
    data = Heartbeat(time=0, **fields).model_dump_json().encode()
    store.put(f"runs/r/{stage}/01/heartbeat.json", data)


def shown(store: Store, script: Script, width: int = 100) -> list[str]:
    spec = small_run()
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False)
    console.print(table(spec, read_state(spec, script.events), store))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def running(store: Store) -> Script:
    script = Script().add("submitted").walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    script.add("started", stage="train-loser", attempt=1)
    beat(store, "train-winner", done=7, total=12, unit="steps", facts={"loss": 5.5})
    return script


def test_the_table_says_of_every_stage_how_far_it_is(store: Store) -> None:
    lines = {line.split()[0]: line for line in shown(store, running(store))}
    assert list(lines) == ["stage", "enc", "train/winner", "train/loser", "arena"]
    assert "running" in lines["train/winner"]
    assert "━" in lines["train/winner"]
    assert "7/12 steps, loss 5.5" in lines["train/winner"]
    assert "starting" in lines["train/loser"]
    assert lines["arena"].split() == ["arena", "waiting"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits_the_terminal(store: Store, width: int) -> None:
    lines = shown(store, running(store), width)
    assert max(map(len, lines)) <= width


def test_what_is_left_out_is_dim_and_says_why(store: Store) -> None:
    script = running(store)
    text = "no room for train-loser: the run would cost $21.30 of $20"
    script.add("ended", stage="train-loser", attempt=1, code=143)
    script.add("skipped", text=text, detail={"stages": ["train-loser"]})
    rows = table(small_run(), read_state(small_run(), script.events), store)
    stream = io.StringIO()
    Console(file=stream, width=120, force_terminal=True, color_system="standard").print(rows)
    (line,) = [line for line in stream.getvalue().splitlines() if "train/loser" in line]
    assert "\x1b[2mskipped\x1b[0m" in line
    assert f"\x1b[2m{text}\x1b[0m" in line


def test_a_damaged_heartbeat_is_no_heartbeat(store: Store) -> None:
    script = running(store)
    store.put("runs/r/train-winner/01/heartbeat.json", b'{"time"')
    assert any("train/winner" in line and "starting" in line for line in shown(store, script))


def test_plain_lines_have_the_time_in_front(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = PlainProgress(small_run(), store)
    for event in running(store).events[:3]:
        progress.tell(event)
    lines = capsys.readouterr().out.splitlines()
    assert [line[8:] for line in lines[:2]] == [
        " run submitted",
        " enc started",
    ]
    assert lines[2][8:].startswith(" enc done")


def test_plain_progress_is_told_now_and_then(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = read_state(small_run(), running(store).events)
    progress = PlainProgress(small_run(), store)
    progress.tick(state)
    assert capsys.readouterr().out == "", "not at every look"
    monkeypatch.setattr("wmctl.show.progress.PLAIN_EVERY", 0)
    progress.tick(state)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(" train-winner 7/12 steps, loss 5.5")


def test_the_live_table_keeps_failures_above_it(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    script = running(store)
    script.add("ended", stage="train-loser", attempt=1, code=65, text="shard 3 is damaged")
    script.add("verdict", name="chess", outcome="stop", text="train-loser failed")
    spec = small_run()
    with LiveProgress(spec, store) as progress:
        for event in script.events:
            progress.tell(event)
        progress.tick(read_state(spec, script.events))
    out = capsys.readouterr().out
    assert out.index("train-loser failed with code 65: shard 3 is damaged") < out.index("phase")
    assert "verdict" not in out, "the outcome shows it, once"


def test_below_the_live_table_stand_cost_finish_and_last_words(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    script = Script()
    script.now = now - 60
    detail = {"on": "local", "cpus": 2, "deadline": now + 3600, "prices": {"cpu": 36}}
    script.add("submitted", detail=detail).add("started", stage="enc", attempt=1)
    script.add("priced", text="other prices", detail={"prices": {"cpu": 37}})
    spec = small_run(budget=5)
    state = read_state(spec, script.events)
    ahead = outlook(spec, state, now).model_copy(update={"usd_end": 2.5, "usd_worst": 6.0})
    write_outlook(store, "r", ahead)
    store.put("runs/r/enc/01/log/000000000000.txt", b"one\ntwo\nthree\nfour\n")
    with LiveProgress(spec, store) as progress:
        progress.tick(state)
    out = capsys.readouterr().out
    assert re.search(
        r"cost    \$0\.[56]\d of \$5\.00 so far, about \$2\.50 at the end, at worst \$6\.00", out
    )
    assert re.search(r"finish  .+ \(in .+\), at worst .+, deadline .+", out)
    assert out.endswith("enc\n  two\n  three\n  four")
    assert "other prices" not in out, "told above the table, once"


def outcome(
    store: Store, script: Script, capsys: pytest.CaptureFixture[str], **changes: Any
) -> tuple[int, str, str]:
    spec = small_run(**changes)
    code = show_outcome(store, spec, read_state(spec, script.events))
    return code, *capsys.readouterr()


def test_the_outcome_shows_each_criterion(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = [
        {"criterion": "a", "holds": True, "figure": None, "text": "elo is 9, above 0"},
        {"criterion": "b", "holds": False, "figure": None, "text": "4 units, fewer than 100"},
    ]
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser", "arena")
    detail = {"candidate": "train/winner", "evidence": evidence}
    script.add("verdict", name="chess", outcome="hold", text="hold", detail=detail)
    script.add("finished", code=0, text="every stage has ended")
    store.put("runs/r/index.html", b"page")
    code, out, err = outcome(store, script, capsys)
    assert (code, err) == (0, "")
    assert out == (
        "\n"
        "chess: HOLD\n"
        "  ✓ elo is 9, above 0\n"
        "  ✗ 4 units, fewer than 100\n"
        f"report: {store.path('runs/r/index.html')}\n"
    )


def test_what_failed_is_an_error_with_its_hint(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script().add("submitted").add("started", stage="enc", attempt=1)
    script.add("ended", stage="enc", attempt=1, code=65, text="no game", hint="other files")
    script.add("verdict", name="chess", outcome="stop", text="enc failed: no game")
    script.add("finished", code=65, text="enc failed: no game")
    code, out, err = outcome(store, script, capsys)
    assert code == 65
    assert err == "error: enc failed: no game\nhint: other files\n"
    assert "chess: STOP\n  enc failed: no game\n" in out
    assert "report: none yet; wmctl report r writes it" in out


def test_a_failure_without_a_hint_shows_no_empty_one(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script().add("submitted").add("started", stage="enc", attempt=1)
    script.add("ended", stage="enc", attempt=1, code=70, text="ZeroDivisionError")
    script.add("finished", code=70)
    assert outcome(store, script, capsys)[2] == "error: enc failed: ZeroDivisionError\n"


def test_a_run_that_was_stopped_says_how_to_go_on(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = outcome(store, running(store), capsys)
    assert (code, err) == (143, "")
    assert "chess: OPEN\n" in out
    assert out.endswith("r was stopped; submit the plan again to go on\n")


def test_several_verdicts_come_in_the_order_of_the_plan(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = {"zebra": PLAN["verdicts"]["chess"], "ant": PLAN["verdicts"]["chess"]}
    out = outcome(store, Script().add("submitted"), capsys, verdicts=verdicts)[1]
    assert out.index("zebra") < out.index("ant")


def test_what_a_cluster_has_not_brought_to_run_is_pending(tmp_path: Path) -> None:
    spec, script = small_run(), Script().add("submitted").add("started", stage="enc", attempt=1)
    job = StageJob(run="r", stage="enc", attempt=1, kind="encode", spec="")
    phases = Phases(stages={"enc": Observation(job=job, phase="waiting")})
    console = Console(file=io.StringIO(), width=80)
    state = read_state(spec, script.events)
    console.print(table(spec, state, open_store(str(tmp_path)), phases))
    assert "pending" in console.file.getvalue().splitlines()[1]  # type: ignore[attr-defined]
