"""The page of every kind of run: finished, under way, failed, stopped, and with odd contents."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.reports import (
    SENTENCES,
    WORDS,
    arena,
    card,
    duel,
    interval,
    manifest,
    night,
    report,
    terms,
    training,
)
from tests.support.runs import PLAN, Script
from wm.artifacts.dataset import Inputs
from wm.artifacts.result import ArenaResult, PlayerRow, Sprt
from wm.stage import Heartbeat
from wm.store import Store, open_store
from wmctl.report import page as page_module
from wmctl.report.bars import bars
from wmctl.report.collect import Report, collect
from wmctl.report.page import PageKeeper, render
from wmctl.run.find import find_run
from wmctl.run.history import History

EVIL = "<script>alert('x')</script>"
DONE = ("enc", "train-winner", "train-loser", "arena")


class Reader(HTMLParser):
    """Reads a page as a browser does: its text, and that every tag is closed."""

    VOID = frozenset({"meta", "br", "link", "use", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += " ".join(data.split()) + " "


def read(report: Report) -> Reader:
    html = render(report)
    reader = Reader(html)
    assert reader.open == [], "every tag is closed"
    assert "script" not in reader.tags
    assert not re.search(r"(?:src|href)=\"(?!#)", html), "nothing is fetched"
    assert "None" not in reader.text
    return reader


def end(script: Script, stage: str, code: int, text: str, hint: str = "") -> Script:
    script.add("started", stage=stage, attempt=1)
    return script.add("ended", stage=stage, attempt=1, code=code, text=text, hint=hint)


def test_the_page_of_a_finished_run(finished: Path) -> None:
    store = open_store(str(finished))
    spec = find_run(store, None)
    reader = read(collect(store, spec))
    text = reader.text
    assert text.index("chess: ") < text.index("Stages") < text.index("Chess ") < text.index("Melee")
    for word in (spec.run, "finished: every stage has ended", "Pairings", "Lineage"):
        assert word in text
    assert "40 games accepted from 1 input of 17 KB: 26 train (1,430 rows)" in text
    assert "Position error and skill by frames ahead" in text
    assert reader.tags.count("svg") >= 7
    assert len(re.findall(r"sha256 ([0-9a-f]{64})", text)) == 8, "weights and inputs of four models"


def test_the_page_written_by_the_run_is_the_page_of_the_report(finished: Path) -> None:
    store = open_store(str(finished))
    spec = find_run(store, None)
    written = store.get(f"runs/{spec.run}/index.html").decode()
    again = render(collect(store, spec))
    clock = re.compile(r"page of [-0-9: ]+ UTC")
    assert clock.sub("", written) == clock.sub("", again), "equal data give equal pages"


def test_nothing_done_yet() -> None:
    text = read(report(Script())).text
    assert "chess: not reached yet" in text
    assert "under way" in text
    assert "No model yet." in text
    assert text.count("waiting") == 4


def test_a_run_under_way_says_how_far_its_stages_are() -> None:
    script = Script().add("submitted").walk("enc")
    script.add("started", stage="train-winner", attempt=1)
    script.add("started", stage="train-loser", attempt=1)
    made = report(script)
    facts = {"loss": 4.25, "targets_per_s": 12345.6}
    made.heartbeats["train-winner"] = Heartbeat(
        time=1, done=1200, total=4000, unit="steps", facts=facts
    )
    made.trainings["train-winner"] = training({"step": 100, "event": "train", "loss": 5.0})
    text = read(made).text
    assert "1,200/4,000 steps, loss 4.25, targets/s 12,346" in text
    assert "starting" in text, "the other one has given no sign yet"
    assert "Loss (dashed: held out)" in text


def test_a_second_attempt_shows_no_time_of_the_first() -> None:
    script = Script()
    end(script, "enc", 137, "killed")
    script.add("started", stage="enc", attempt=2)
    made = report(script)
    assert made.as_json()["stages"]["enc"] == {
        "phase": "running",
        "attempts": 2,
        "seconds": None,
        "usd": 0.0,
        "why": "",
        "result": {},
    }
    assert "attempt 2: starting" in read(made).text


def test_a_failed_stage_is_shown_with_its_reason_and_hint() -> None:
    script = Script().add("submitted")
    end(script, "enc", 65, f"no game of {EVIL} was accepted", "give <b>other</b> files")
    script.add("verdict", name="chess", outcome="stop", text="enc failed")
    script.add("finished", code=65, text="enc failed: no game was accepted")
    text = read(report(script)).text
    assert f"no game of {EVIL} was accepted" in text
    assert "give <b>other</b> files" in text
    assert "chess: stop" in text
    assert text.count("enc failed") >= 4, "the verdict, the end, and what was blocked by it"


def test_a_verdict_stopped_by_a_gate_names_the_gate() -> None:
    gate = {"after": "train", "metric": "top1", "at_least": 0.9}
    script = Script().add("submitted").walk("enc", "train-winner", "train-loser")
    name = "train: top1 >= 0.9"
    text = f"{name}: train/winner 0.3, train/loser 0.1: failed"
    script.add("gate", name=name, outcome="fail", text=text)
    script.add("verdict", name="chess", outcome="stop", text=text)
    script.add("finished", code=0, text="every stage has ended")
    shown = read(report(script, gates=[gate])).text
    assert f"✗ gate {text}" in shown
    assert "chess: stop" in shown
    assert "blocked" in shown


def test_names_from_outside_are_text_and_never_markup() -> None:
    script = Script().add("submitted").walk(*DONE)
    made = report(
        script,
        about=EVIL,
        verdicts={EVIL: PLAN["verdicts"]["chess"]},
    )
    name = '"><img src=x onerror=alert(1)>'
    inputs = Inputs(count=9, bytes=10, sha256="b" * 64, names=[f"{EVIL}.pgn", name])
    made.datasets["enc"] = manifest(inputs=inputs, rejects={EVIL: 2}, missing={EVIL: 1})
    made.trainings["train-winner"] = training(
        {"step": 1, "event": "validate", "metrics": {"loss": 1.0, "top1": 0.5}},
        made=card(metrics={EVIL: 0.5}),
    )
    made.trainings["train-winner"].label = f"{EVIL}$x_1$"
    players = [
        PlayerRow(name=EVIL, rating=interval(1, 0, 2)),
        PlayerRow(name="$\\frac{", rating=interval(0, 0, 0)),
    ]
    made.arenas["arena"] = arena(*players, notes=[EVIL])
    reader = read(made)
    assert "img" not in reader.tags
    assert reader.text.count(EVIL) >= 8
    assert f"{EVIL}.pgn, {name} and 7 more" in reader.text
    assert "$\\frac{" in reader.text


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_figures_that_are_no_numbers_break_nothing(odd: float) -> None:
    script = Script().add("submitted").walk(*DONE)
    made = report(script)
    made.trainings["train-winner"] = training(
        {"step": 1, "event": "train", "loss": odd},
        {"step": 2, "event": "train", "loss": 4.0},
        {"step": 2, "event": "validate", "metrics": {"loss": odd, "top1": odd}},
        made=card(metrics={"top1": odd}, targets_per_s=odd),
    )
    rating = interval(odd, odd, odd)
    players = [
        PlayerRow(name="a", rating=rating, metrics={"raw_legal": rating}),
        PlayerRow(name="b", rating=interval(0, -1, 1)),
    ]
    made.arenas["arena"] = arena(*players)
    read(made)
    text = json.dumps(made.as_json(), allow_nan=False)
    back = ArenaResult.model_validate(json.loads(text)["arenas"]["arena"])
    assert back.players[0].rating is not None
    assert repr(back.players[0].rating.value) == repr(odd)


def test_players_without_a_rating_and_pairings_without_figures() -> None:
    made = report(Script().add("submitted").walk(*DONE))
    sprt = Sprt(
        elo0=0, elo1=5, model="logistic", llr=-3, lower=-2.9, upper=2.9, decision="accept_h0"
    )
    result = arena(PlayerRow(name="late"), PlayerRow(name="rated", rating=interval(9, 1, 17)))
    result.pairings[0].sprt = sprt
    made.arenas["arena"] = result
    text = read(made).text
    assert text.index("rated 9 [1, 17]") < text.index("late –")
    assert "not better (LLR -3.00)" in text
    assert "stopped early" not in text


def test_a_duel_whose_sprt_has_decided_early() -> None:
    made = report(Script().add("submitted").walk(*DONE))
    made.spec.nodes[-1].game = "melee"
    made.arenas["arena"] = duel()
    text = read(made).text
    assert "difference (95 %) SPRT: a is" in text
    assert "4*" in text
    assert "0.021 [0.004, 0.038] better (LLR 3.01)" in text
    assert "* stopped early: its SPRT had decided." in text


def test_a_duel_without_a_test_has_no_column_for_it() -> None:
    made = report(Script().add("submitted").walk(*DONE))
    made.spec.nodes[-1].game = "melee"
    made.arenas["arena"] = duel()
    made.arenas["arena"].pairings[0].sprt = None
    assert "SPRT: a is" not in read(made).text


def test_a_night_under_way_tells_cost_finish_and_what_was_decided() -> None:
    made = night()
    text = " ".join(read(made).text.split())
    order = [
        "chess: not reached yet",
        "cost so far $17.40 of $20.00",
        "at the end about $19.20, at worst $20.40",
        "finish ",
        " UTC in 1h 30m, deadline ",
        "Decisions",
        SENTENCES["hung"],
        "other prices, by ada@desk: h100 $2.90 (was $3.00)",
        f"left out: {SENTENCES['skipped']}",
        SENTENCES["shortened"],
        f"✗ gate {SENTENCES['gate']}",
        f"choice size: {SENTENCES['chosen']}",
        "Stages",
        "running 6h 00m $17.40 1,200/4,000 steps",
        "Last log lines",
        WORDS[0],
        "Loss",
        "Terms",
        "$0.04 a core-hour, $2.90 a h100-hour",
        "90 %; what is less sure gives way",
        "Lineage",
    ]
    places = [text.find(words) for words in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert '<meta http-equiv="refresh" content="30">' in render(made)


def test_the_page_of_a_finished_run_does_not_load_itself_again() -> None:
    now = 1_700_000_000.0
    script = Script()
    script.now = now
    script.add("submitted", detail=terms(now)).walk(*DONE)
    made = report(script.add("finished", code=0, text="every stage has ended"), budget=5)
    assert "http-equiv" not in render(made)
    text = read(made).text
    assert "cost $0 of $5.00" in text, "no pod was seen to run"
    assert "finished 22:13 UTC , deadline 06:13 kept" in text


def test_the_report_of_a_night_for_machines() -> None:
    made = json.loads(json.dumps(night().as_json(), allow_nan=False))
    assert made["cost"]["usd"] == pytest.approx(17.4, abs=0.1)
    assert made["cost"]["budget"] == 20
    assert made["forecast"]["deadline_kept"] is None
    assert made["terms"]["on"] == "kubernetes"
    assert "estimates" not in made["terms"]
    assert made["choices"]["size"]["chosen"] == ["train-winner"]
    assert [one["event"] for one in made["decisions"]] == [
        "hung",
        "priced",
        "skipped",
        "shortened",
        "gate",
        "chosen",
    ]
    assert made["stages"]["train/loser"]["phase"] == "skipped"


def test_bars_say_what_is_used_and_what_is_expected() -> None:
    made = night()
    drawn = bars(made.standing(made.ahead.time + 30))  # type: ignore[union-attr]
    cost, time = drawn["cost"], drawn["time"]
    assert (cost.used, cost.expected, cost.worst) == (pytest.approx(87, abs=0.3), 96, 100)
    assert not cost.over
    assert time.used == pytest.approx(75, abs=0.3)
    assert time.expected == pytest.approx(93.8, abs=0.3)
    assert cost.text == "87 % of the budget used, 96 % expected at the end"
    made.ahead = made.ahead.model_copy(update={"usd_end": 21.0})  # type: ignore[union-attr]
    cost = bars(made.standing(made.ahead.time + 30))["cost"]
    assert (cost.expected, cost.over) == (100, True)
    assert bars(report(Script().add("submitted")).standing(9)) == {}


def test_many_decisions_unfold() -> None:
    script = Script().add("submitted")
    for number in range(14):
        script.add("shortened", text=f"shortened for the {number}th time", detail={"steps": {}})
    reader = read(report(script))
    assert "4 earlier decisions" in reader.text
    assert reader.text.index("for the 3th") < reader.text.index("for the 4th")
    assert reader.tags.count("details") == 1


def test_log_lines_of_what_runs_and_what_has_failed(tmp_path: Path) -> None:
    store = _stored(tmp_path, attempts=2)
    history = History(store, "r")
    history.append("ended", stage="enc", attempt=1, code=0)
    history.append("started", stage="train-loser", attempt=1)
    history.append("ended", stage="train-loser", attempt=1, code=65, text="damaged")
    for place, lines in {"enc/01": "encoded", "train-winner/01": "first", "train-loser/01": EVIL,
                         "train-winner/02": "a\nb\nc\nd"}.items():  # fmt: skip
        store.put(f"runs/r/{place}/log/000000000000.txt", f"{lines}\n".encode())
    made = collect(store, find_run(store, "r"))
    assert made.words == {"train/winner": ["b", "c", "d"], "train/loser": [EVIL]}
    text = " ".join(read(made).text.split())
    assert f"train/winner b c d train/loser {EVIL}" in text


def test_one_player_alone_and_no_notes() -> None:
    made = report(Script().add("submitted").walk(*DONE))
    made.arenas["arena"] = arena(PlayerRow(name="alone", rating=interval(0, 0, 0)))
    assert "alone" in read(made).text


def test_curves_of_one_point_are_drawn() -> None:
    made = report(Script().add("submitted").walk("enc"))
    made.trainings["train-winner"] = training({"step": 5, "event": "train", "loss": 3.0})
    html = render(made)
    assert "<use " in html, "a mark where the point is"


def test_metrics_of_a_later_attempt_replace_those_it_repeats(tmp_path: Path) -> None:
    store = _stored(tmp_path, attempts=2)
    lines = [[(1, 9.0), (2, 8.0)], [(2, 7.0), (3, 6.0)]]
    for attempt, points in enumerate(lines, 1):
        data = "".join(
            json.dumps({"step": step, "event": "train", "loss": loss}) + "\n"
            for step, loss in points
        )
        store.put(f"runs/r/train-winner/{attempt:02d}/metrics.jsonl", data.encode())
    made = collect(store, find_run(store, "r"))
    assert made.trainings["train-winner"].curve("train", "loss") == ([1, 2, 3], [9.0, 7.0, 6.0])


def test_a_metrics_file_with_nan_in_it_is_read(tmp_path: Path) -> None:
    store = _stored(tmp_path, attempts=1)
    data = b'{"step": 1, "event": "train", "loss": NaN}\n{"step": 2, "event": "train"}\n'
    store.put("runs/r/train-winner/01/metrics.jsonl", data)
    made = collect(store, find_run(store, "r"))
    assert len(made.trainings["train-winner"].points) == 2
    read(made)


def test_trouble_with_the_page_is_logged_and_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect_logs: list[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no chart today")

    expect_logs.append("the page of r could not be written")
    store = _stored(tmp_path, attempts=1)
    monkeypatch.setattr(page_module, "render", broken)
    made = collect(store, find_run(store, "r"))
    PageKeeper(store, made.spec).tick(made.state)
    assert store.head("runs/r/index.html") is None


def test_the_page_is_kept_current_but_not_at_every_look(tmp_path: Path) -> None:
    store = _stored(tmp_path, attempts=1)
    made = collect(store, find_run(store, "r"))
    keeper = PageKeeper(store, made.spec)
    keeper.tick(made.state)
    first = store.get_tagged("runs/r/index.html")[1]
    store.put("runs/r/index.html", b"mark")
    keeper.tick(made.state)
    assert store.get("runs/r/index.html") == b"mark"
    finished = Script().add("finished", code=0).events[0]
    keeper.tell(finished)
    assert store.get("runs/r/index.html") != b"mark"
    assert first


def _stored(root: Path, attempts: int) -> Store:
    """A store with a run whose training has been tried so often."""
    store = open_store(str(root))
    script = Script().add("submitted").walk("enc")
    for attempt in range(1, attempts + 1):
        script.add("started", stage="train-winner", attempt=attempt)
    spec = report(script).spec
    store.put("runs/r/spec.json", spec.model_dump_json().encode())
    history = History(store, "r")
    for event in script.events:
        fields = event.model_dump(exclude={"time", "event"}, exclude_defaults=True)
        if "dataset" not in fields.get("detail", {}):
            history.append(event.event, **fields)
    return store
