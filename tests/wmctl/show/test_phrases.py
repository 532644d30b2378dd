from __future__ import annotations

from typing import Any

import pytest

from wm.stage import Heartbeat
from wmctl.run.history import Event
from wmctl.show import phrases


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (61, "1m 01s"),
        (3599.6, "1h 00m"),
        (7500, "2h 05m"),
        (360000, "100h 00m"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert phrases.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1_234_567, "1.23 MB"),
        (999_600, "1 MB"),
        (2.5e9, "2.5 GB"),
        (7e12, "7 TB"),
        (1.5e15, "1,500 TB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert phrases.size(count) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0, "$0"),
        (0.00001, "<$0.0001"),
        (0.0026, "$0.0026"),
        (0.00994, "$0.0099"),
        (0.00996, "$0.01"),
        (2.13, "$2.13"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money(usd: float, text: str) -> None:
    assert phrases.money(usd) == text


def test_counts_have_a_plural() -> None:
    assert phrases.count(0, "game") == "0 games"
    assert phrases.count(1, "game") == "1 game"
    assert phrases.count(1200, "game") == "1,200 games"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "starting"),
        ({"done": 12, "unit": "files hashed"}, "12 files hashed"),
        ({"done": 7, "total": 1200, "unit": "steps"}, "7/1,200 steps"),
        (
            {"done": 7, "total": 12, "unit": "steps", "facts": {"loss": 5.12345, "lr": 3e-5}},
            "7/12 steps, loss 5.123, lr 3e-05",
        ),
        (
            {"done": 1, "unit": "games", "facts": {"targets_per_s": 12345.6, "warm": True}},
            "1 games, targets/s 12,346, warm True",
        ),
    ],
)
def test_heartbeats(fields: dict[str, Any], text: str) -> None:
    assert phrases.heartbeat(Heartbeat(time=0, **fields)) == text


GAMES = {"train": 1300, "val": 20, "test": 20}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"event": "submitted"}, "run submitted"),
        ({"event": "resumed"}, "run taken up again"),
        ({"event": "started", "stage": "enc", "attempt": 1}, "enc started"),
        ({"event": "started", "stage": "enc", "attempt": 2}, "enc started (attempt 2)"),
        (
            {"event": "started", "stage": "t", "attempt": 2, "detail": {"steps": 1200}},
            "t started (attempt 2), 1,200 steps",
        ),
        (
            {"event": "hung", "stage": "t", "text": "t has given no sign of life for 300 s"},
            "t has given no sign of life for 300 s",
        ),
        (
            {"event": "over", "outcome": "deadline", "text": "the deadline has passed"},
            "the deadline has passed; stages save their state, and what there is is judged",
        ),
        ({"event": "chosen", "name": "size", "text": "b is taken"}, "choice size: b is taken"),
        (
            {"event": "skipped", "text": "no room for t: it would cost $21 of $20"},
            "left out: no room for t: it would cost $21 of $20",
        ),
        (
            {
                "event": "priced",
                "text": "other prices, by ada@desk",
                "detail": {"prices": {"cpu": 0.05, "gpus": {"h100": 3}, "gb_month": 0}},
            },
            "other prices, by ada@desk: cpu $0.05, h100 $3.00, gb_month $0, gb_read $0",
        ),
        (
            {"event": "ended", "stage": "enc", "detail": {"dataset": "d", "games": GAMES}},
            "enc done: 1,300 train, 20 val, 20 test games",
        ),
        (
            {
                "event": "ended",
                "stage": "enc",
                "detail": {
                    "dataset": "d",
                    "games": GAMES,
                    "rejects": {"a": 2, "b": 1},
                    "hit": True,
                },
            },
            "enc done: 1,300 train, 20 val, 20 test games, 3 rejected (hit)",
        ),
        (
            {"event": "ended", "stage": "t", "detail": {"model": "models/chess/x", "step": 400}},
            "t done: 400 steps, models/chess/x",
        ),
        ({"event": "ended", "stage": "a", "detail": {"result": "runs/r"}}, "a done"),
        (
            {"event": "ended", "stage": "t", "code": 65, "text": "no game", "hint": "look"},
            "t failed with code 65: no game — look",
        ),
        (
            {"event": "ended", "stage": "t", "code": 137, "text": "killed"},
            "t ended with code 137: killed",
        ),
        ({"event": "gate", "text": "top1: failed"}, "gate top1: failed"),
        (
            {"event": "verdict", "name": "chess", "outcome": "hold", "text": "hold a: too few"},
            "verdict chess: hold a: too few",
        ),
        (
            {"event": "verdict", "name": "chess", "outcome": "stop", "text": "enc failed"},
            "verdict chess: stop — enc failed",
        ),
        (
            {"event": "finished", "text": "every stage has ended"},
            "run finished: every stage has ended",
        ),
        (
            {"event": "finished", "code": 65, "text": "t failed: no game"},
            "run finished with code 65",
        ),
    ],
)
def test_events(fields: dict[str, Any], text: str) -> None:
    event = Event.model_validate({"time": 0, "code": 0} | fields)
    assert phrases.event(event) == text
