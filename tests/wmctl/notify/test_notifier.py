"""Messages arrive in order and at least once, and the run never waits for them."""

from __future__ import annotations

import json
import logging
import socket
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wmctl.notify.conftest import PATH, RUN, SECRET, Run, Site, said
from wm.errors import StoreUnreachable
from wm.store import Store
from wmctl.notify import notifier as module
from wmctl.run.history import Event

MARK = f"runs/{RUN}/notified.json"


@pytest.fixture(autouse=True)
def _no_secret_is_said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "wm.notify"]


def count(store: Store) -> int:
    return int(json.loads(store.get(MARK))["count"])


def test_messages_arrive_in_order_and_the_mark_follows(run: Run, site: Site) -> None:
    with run.notifier() as notifier:
        run.happen(notifier, "submitted")
        run.gates(notifier, "a", "b")
    assert site.wait(3) == [f"{RUN}: run submitted", *said("a", "b")]
    assert {path for path, _, _ in site.requests} == {PATH}
    assert (count(run.store), len(run.history.events)) == (5, 5)


@pytest.mark.parametrize("failure", [500, 503, 429, "close"])
def test_what_failed_is_sent_again_before_what_follows(
    run: Run, site: Site, failure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site.answers = [failure, failure]
    with run.notifier() as notifier:
        run.gates(notifier, "a", "b")
        site.wait(4)
    assert site.wait(4) == said("a", "a", "a", "b")
    first, second = run.pauses
    assert 0.5 <= first <= 1 <= second <= 2
    assert lines(caplog) == []


def test_no_answer_in_time_is_sent_again(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    site.answers = ["hang"]
    with run.notifier() as notifier:
        run.gates(notifier, "a", "b")
        assert site.wait(3) == said("a", "a", "b")


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("7", 7, 7),
        ("100000", module.LONGEST_WISH, module.LONGEST_WISH),
        ("Fri, 31 Dec 2100 23:59:59 GMT", module.LONGEST_WISH, module.LONGEST_WISH),
        ("soon", 0.5, 1),
        ("-3", 0.5, 1),
    ],
)
def test_the_other_side_says_how_long_to_wait(
    run: Run, site: Site, wish: str, least: float, most: float
) -> None:
    site.answers = [(429, {"Retry-After": wish})]
    with run.notifier() as notifier:
        run.gates(notifier, "a")
        site.wait(2)
    [pause] = run.pauses
    assert least <= pause <= most


@pytest.mark.parametrize("status", [400, 404, 410])
def test_what_is_refused_is_not_sent_again_and_warned_of_once(
    run: Run,
    site: Site,
    status: int,
    caplog: pytest.LogCaptureFixture,
    expect_logs: list[str],
) -> None:
    expect_logs.append("gave up on 'gate a'")
    site.answers = [status, status]
    with run.notifier() as notifier:
        run.gates(notifier, "a", "b", "c")
    assert site.wait(3) == said("a", "b", "c")
    assert lines(caplog) == [
        (level, f"webhook http://127.0.0.1: gave up on 'gate {name}': it answers {status}")
        for level, name in ((logging.WARNING, "a"), (logging.INFO, "b"))
    ]


def test_a_redirect_is_not_followed(run: Run, site: Site, expect_logs: list[str]) -> None:
    expect_logs.append("it answers 307 and names another address, which is not asked")
    site.answers = [(307, {"Location": "/elsewhere"})]
    with run.notifier() as notifier:
        run.gates(notifier, "a")
    assert [path for path, _, _ in site.requests] == [PATH]


def test_one_that_never_arrives_is_dropped_for_the_next(
    run: Run, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.answers = [500] * module.TRIES
    with run.notifier() as notifier:
        run.gates(notifier, "a", "b")
        site.wait(module.TRIES + 1)
    assert site.wait(11)[-2:] == said("a", "b")
    assert len(run.pauses) == module.TRIES - 1
    assert max(run.pauses) <= module.LONGEST_PAUSE
    assert sum(run.pauses) > 90
    [(level, text)] = lines(caplog)
    assert (level, "gave up on 'gate a': it answers 500" in text) == (logging.INFO, True)
    assert count(run.store) == 4


def gone() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"


BUSY = (429, {"Retry-After": "60"})


@pytest.mark.parametrize("always", [200, 500, 404, BUSY, "close", "hang", "odd", "gone"])
def test_the_run_never_waits(
    run: Run,
    site: Site,
    always: Any,
    caplog: pytest.LogCaptureFixture,
    expect_logs: list[str],
) -> None:
    expect_logs.append("it answers 404")
    site.always = always
    if always == "gone":
        run.url = gone()
    notifier = run.notifier(sleep=lambda bell, seconds: bell.wait(seconds))
    with notifier:
        for name in "abcdefgh":
            run.gates(notifier, name)
        before = time.perf_counter()
        notifier.close(0.3)
        took = time.perf_counter() - before
    assert statistics.median(run.slowest) < 0.002
    assert took < 0.6
    arrived = always in (200, "odd")
    assert (run.store.head(MARK) is not None) == arrived  # a webhook that is away costs no writes
    if arrived:
        assert site.wait(8) == said(*"abcdefgh")
    elif always != 404:
        assert "the last messages were not sent in time" in caplog.text


def test_a_run_without_an_answer_costs_a_line_for_each_message(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run.url = gone()
    with run.notifier() as notifier:
        run.gates(notifier, "a", "b", "c")
    why = "no connection, or one that broke off"
    assert lines(caplog) == [
        (logging.INFO, f"webhook http://127.0.0.1: gave up on 'gate {name}': {why}")
        for name in "abc"
    ]
    assert run.store.head(MARK) is None


def test_the_end_cuts_a_pause_short(run: Run, site: Site) -> None:
    site.answers = [BUSY]
    with run.notifier(sleep=lambda bell, seconds: bell.wait(seconds)) as notifier:
        run.gates(notifier, "a", "b")
        site.wait(1)
    assert site.wait(3) == said("a", "a", "b")


def test_a_successor_sends_what_was_left(run: Run, site: Site) -> None:
    with run.notifier() as notifier:
        run.happen(notifier, "submitted")
        run.gates(notifier, "a")
    run.gates(None, "b", "c")  # written by a conductor that died before it told anybody
    with run.notifier() as notifier:
        assert site.wait(4)[2:] == said("b", "c")
        run.gates(notifier, "d")
    assert site.wait(5)[4:] == said("d")
    assert count(run.store) == len(run.history.events) == 9
    with run.notifier():
        pass
    assert len(site.requests) == 5


def test_a_run_that_was_entered_by_another_is_told_from_its_beginning(run: Run, site: Site) -> None:
    run.happen(None, "submitted")  # as wmctl submit does for a conductor on a cluster
    with run.notifier() as notifier:
        run.gates(notifier, "a")
    assert site.wait(2) == [f"{RUN}: run submitted", *said("a")]


def test_what_is_written_before_the_history_is_read_is_sent_once(run: Run, site: Site) -> None:
    run.gates(None, "a")
    late = run.notifier()
    run.gates(late, "b", "c")
    with late:
        run.gates(late, "d")
    assert site.wait(4) == said("a", "b", "c", "d")
    assert len(site.requests) == 4
    assert count(run.store) == 8


def test_old_news_is_not_sent(run: Run, site: Site) -> None:
    run.gates(None, "a")
    run.gates(None, "b")
    then, now = run.history.events[1].time, run.history.events[3].time
    with run.notifier(clock=lambda: (then + now) / 2 + module.OLD) as notifier:
        run.gates(notifier, "c")
    assert site.wait(2) == said("b", "c")


@pytest.mark.parametrize("mark", [b"", b"[]", b'{"count": null}', b'{"count": -4}', b"\xff"])
def test_a_mark_that_makes_no_sense_counts_as_none(run: Run, site: Site, mark: bytes) -> None:
    run.store.put(MARK, mark)
    run.gates(None, "a")
    with run.notifier():
        pass
    assert site.wait(1) == said("a")
    assert count(run.store) == 2


def test_a_mark_beyond_the_history(run: Run, site: Site) -> None:
    run.store.put(MARK, b'{"count": 99}')
    run.gates(None, "a")
    with run.notifier() as notifier:
        run.gates(notifier, "b")
    assert site.wait(1) == said("b")
    assert count(run.store) == 4


def test_a_history_that_cannot_be_read(
    run: Run, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    run.store.put(f"runs/{RUN}/events.jsonl", b"{\n")
    with run.notifier() as notifier:
        notifier.tell(Event(time=time.time(), event="gate", text="a"))
    assert site.wait(1) == said("a")
    assert run.store.head(MARK) is None
    [(level, text)] = lines(caplog)
    assert level == logging.INFO
    assert "what people were told earlier is not known" in text


class Away:
    """A store that cannot be reached for the first so many requests."""

    def __init__(self, store: Store, requests: int) -> None:
        self._store, self.left = store, requests

    def __getattr__(self, name: str) -> Any:
        if self.left > 0 and name != "url":
            self.left -= 1
            raise StoreUnreachable("away")
        return getattr(self._store, name)


def test_a_store_that_is_away_for_a_moment(run: Run, site: Site) -> None:
    run.gates(None, "a")
    with run.notifier(Away(run.store, 3)) as notifier:  # type: ignore[arg-type]
        run.gates(notifier, "b")
        assert site.wait(2) == said("a", "b")
    assert len(run.pauses) == 3
    assert count(run.store) == 4


def test_a_store_that_stays_away(run: Run, site: Site) -> None:
    away: Any = Away(run.store, 10**9)
    with run.notifier(away, sleep=lambda bell, seconds: bell.wait(seconds)) as notifier:
        run.gates(notifier, "a")
    assert site.wait(1) == said("a")


def test_a_mark_that_cannot_be_written(
    run: Run, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    away = Away(run.store, 0)
    with run.notifier(away) as notifier:  # type: ignore[arg-type]
        run.gates(notifier, "a")
        site.wait(1)
        until = time.monotonic() + 5
        while run.store.head(MARK) is None and time.monotonic() < until:
            time.sleep(0.01)
        away.left = 1
        run.gates(notifier, "b", "c")
    assert site.wait(3) == said("a", "b", "c")
    assert lines(caplog) == [(logging.INFO, "what people were told is not written down: away")]
    assert count(run.store) == 6


def test_when_too_many_wait_the_oldest_gives_way(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "QUEUE", 3)
    run.store.put(f"runs/{RUN}/events.jsonl", b"")
    notifier = run.notifier()
    for name in "abcde":
        notifier.tell(Event(time=time.time(), event="gate", text=name))
    with notifier:
        pass
    assert site.wait(3) == said("c", "d", "e")
    assert [text for _, text in lines(caplog)] == [
        "webhook http://127.0.0.1: a message gave way to a newer one"
    ] * 2
    assert count(run.store) == 5


def test_a_message_that_cannot_be_made_does_not_silence_the_rest(
    run: Run, site: Site, monkeypatch: pytest.MonkeyPatch, expect_logs: list[str]
) -> None:
    def message(event: Event, name: str) -> str:
        if event.name == "a":
            raise KeyError(site.url)
        return event.name

    expect_logs.append("no message: KeyError")
    monkeypatch.setattr(module, "message", message)
    with run.notifier() as notifier:
        run.gates(notifier, "a", "b")
    assert site.wait(1) == ["b"]


def test_the_page_is_linked_where_people_would_look(run: Run, site: Site) -> None:
    made = iter(["http://page/1", None, "http://page/2"])
    with run.notifier(link=lambda: next(made)) as notifier:
        run.happen(notifier, "submitted")
        run.gates(notifier, "a")
        run.happen(notifier, "verdict", name="chess", outcome="hold", text="hold it")
        run.happen(notifier, "finished", code=0, text="hold")
    assert site.wait(4) == [
        f"{RUN}: run submitted\nhttp://page/1",
        *said("a"),
        f"{RUN}: verdict chess: hold it",
        f"{RUN}: run finished: hold\nhttp://page/2",
    ]


def test_a_link_that_cannot_be_made(run: Run, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def link() -> str:
        raise StoreUnreachable("no credentials")

    with run.notifier(link=link) as notifier:
        run.happen(notifier, "finished", code=0, text="hold")
    assert site.wait(1) == [f"{RUN}: run finished: hold"]
    assert "there is no link to the page" in caplog.text
