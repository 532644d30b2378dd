"""How plans write time, money and bytes."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40
}  # fmt: skip

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([KMGT]i|[kMGT])?$")]
"""An amount of bytes as Kubernetes writes it: ``512Mi``, ``4Gi``, ``1.5G``."""


def bytes_of(quantity: Quantity) -> int:
    """The amount in bytes."""
    number = quantity.rstrip("kKMGTi")
    return int(float(number) * _UNITS[quantity.removeprefix(number)])


def parse_duration(value: object) -> object:
    """``90s``, ``10m``, ``2h`` or ``1d`` as a timedelta; everything else is left to pydantic."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value)):
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
        return timedelta(**{unit: float(match[1])})
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


def parse_usd(value: object) -> object:
    """``5 USD`` or ``$5`` as a number; everything else is left to pydantic."""
    if isinstance(value, str) and (match := re.fullmatch(r"\$?\s*(\d+(?:\.\d+)?)(\s*USD)?", value)):
        return float(match[1])
    return value


Usd = Annotated[float, BeforeValidator(parse_usd), Field(gt=0)]

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _unsexagesimal(value: object) -> object:
    """YAML 1.1 reads 10:30 as 630, a number to the base of 60."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return f"{value // 60:02d}:{value % 60:02d}"
    return value


def _time(value: str) -> str:
    if _CLOCK.fullmatch(value) or isinstance(parse_duration(value), timedelta):
        return value
    raise ValueError("expected a time from submission such as 90m or 10h, or of the day: 07:00")


Deadline = Annotated[str, BeforeValidator(_unsexagesimal), AfterValidator(_time)]
"""``90s``, ``10m``, ``2h`` from submission, or ``07:00``, the next time that clocks show it."""


def deadline_after(deadline: Deadline, now: float) -> float:
    """The moment that a deadline means for a submission at ``now``, seconds since the epoch.

    A time of day is meant by the clock of the machine that calls.
    """
    if match := _CLOCK.fullmatch(deadline):
        day = time.localtime(now)
        wanted = (int(match[1]), int(match[2]), 0)
        for ahead in (0, 1):
            # mktime knows how long a day is in which the clocks change.
            at = time.mktime((day.tm_year, day.tm_mon, day.tm_mday + ahead, *wanted, 0, 0, -1))
            if at > now:
                return at
    duration = parse_duration(deadline)
    assert isinstance(duration, timedelta)  # the plan was checked
    return now + duration.total_seconds()
