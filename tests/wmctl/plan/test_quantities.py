from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from wmctl.plan.quantities import Deadline, Duration, Quantity, Usd, bytes_of, deadline_after

DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
MONEY: TypeAdapter[float] = TypeAdapter(Usd)
DEADLINE: TypeAdapter[str] = TypeAdapter(Deadline)
QUANTITY: TypeAdapter[str] = TypeAdapter(Quantity)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("2 h", 7200)],
)
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.validate_python(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["2w", "h", "-2h", "2h 30m", "soon"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(text)


@pytest.mark.parametrize(
    ("text", "usd"), [("5 USD", 5), ("$5", 5), ("$ 2.50", 2.5), ("5USD", 5), ("7", 7), (30, 30)]
)
def test_money(text: Any, usd: float) -> None:
    assert MONEY.validate_python(text) == usd


@pytest.mark.parametrize("text", ["5 EUR", "free", "0 USD", -3, 0])
def test_what_is_no_money(text: Any) -> None:
    with pytest.raises(ValidationError):
        MONEY.validate_python(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512Mi", 2**29), ("4Gi", 2**32), ("1.5G", 1_500_000_000), ("7", 7)]
)
def test_bytes(text: str, size: int) -> None:
    assert bytes_of(QUANTITY.validate_python(text)) == size


@pytest.mark.parametrize("text", ["4 Gi", "4gb", "Gi"])
def test_what_is_no_amount_of_bytes(text: str) -> None:
    with pytest.raises(ValidationError):
        QUANTITY.validate_python(text)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("07:00", "07:00"),
        ("7:00", "07:00"),
        ("10:30", "10:30"),
        ("'10:30'", "10:30"),
        ("0:05", "0:05"),
        ("23:59", "23:59"),
        ("90m", "90m"),
    ],
)
def test_a_deadline_as_yaml_reads_it(written: str, meant: str) -> None:
    assert DEADLINE.validate_python(yaml.safe_load(written)) == meant


def test_yaml_reads_a_time_of_day_as_a_number_to_the_base_of_sixty() -> None:
    assert yaml.safe_load("10:30") == 630
    assert DEADLINE.validate_python(630) == "10:30"


@pytest.mark.parametrize("value", ["24:00", "7:60", "soon", "7", 1440, -1, True, 7.5])
def test_what_is_no_deadline(value: Any) -> None:
    with pytest.raises(ValidationError):
        DEADLINE.validate_python(value)


@pytest.fixture
def live_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the time zone of this process; the old one is back after the test."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    """Seconds since the epoch of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "deadline", "then"),
    [
        ("2026-11-24T21:00", "07:00", "2026-11-25T07:00"),  # the night goes over midnight
        ("2026-11-24T02:00", "07:00", "2026-11-24T07:00"),
        ("2026-11-24T07:00", "7:00", "2026-11-25T07:00"),  # the next time that clocks show it
        ("2026-12-31T23:00", "07:00", "2027-01-01T07:00"),
        ("2026-11-24T21:00", "10h", "2026-11-25T07:00"),
        ("2026-11-24T21:00", "90s", "2026-11-24T21:01:30"),
    ],
)
def test_a_deadline_is_a_moment(
    live_in: Callable[[str], None], now: str, deadline: str, then: str
) -> None:
    live_in("UTC")
    assert deadline_after(deadline, at(now)) == at(then)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-10-24T19:00", 11),  # 21:00 to 07:00 by the clock, which is set back meanwhile
        ("2026-03-28T20:00", 9),  # and here set forward
        ("2026-06-01T19:00", 10),
    ],
)
def test_seven_in_the_morning_is_seven_when_the_clocks_change(
    live_in: Callable[[str], None], now: str, hours: float
) -> None:
    live_in("CET-1CEST,M3.5.0,M10.5.0/3")
    assert time.localtime(at(now)).tm_hour == 21
    assert deadline_after("07:00", at(now)) - at(now) == hours * 3600


def test_ten_hours_stay_ten_hours_when_the_clocks_change(live_in: Callable[[str], None]) -> None:
    live_in("CET-1CEST,M3.5.0,M10.5.0/3")
    now = at("2026-10-24T19:00")
    assert deadline_after("10h", now) - now == 36000
