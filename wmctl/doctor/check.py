"""One check: a line that says ok, or what is wrong and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from wm.errors import WmError


class Trouble(Exception):
    """A check that did not pass: what is wrong and the way out."""


class Row(BaseModel):
    """What a check found."""

    check: str
    """Its name."""
    passed: bool
    text: str


Check = tuple[str, Callable[[], str]]
"""Name, and what is called to find out: it returns a line or raises Trouble or WmError."""


def look(name: str, check: Callable[[], str]) -> Row:
    """Make one check."""
    try:
        return Row(check=name, passed=True, text=check())
    except Trouble as error:
        return Row(check=name, passed=False, text=str(error))
    except WmError as error:
        text = "; ".join(filter(None, (error.message, error.hint)))
        return Row(check=name, passed=False, text=text)


def look_at(checks: list[Check]) -> Iterator[Row]:
    """Make checks that do not depend on each other."""
    for name, check in checks:
        yield look(name, check)
