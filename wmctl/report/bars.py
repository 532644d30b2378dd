"""How much of the budget and of the time is used, and what is expected: bars of HTML boxes."""

from __future__ import annotations

from dataclasses import dataclass

from wmctl.show.standing import Standing


@dataclass(frozen=True, slots=True)
class Bar:
    """Shares of the whole in percent, 0 to 100; the whole is the budget, or the time from the
    submission to the deadline."""

    used: float
    expected: float
    """At the end; never less than what is used."""
    worst: float
    over: bool
    """Whether the whole is, or is expected to be, exceeded."""
    text: str
    """The same for people who cannot see it."""


def bars(how: Standing) -> dict[str, Bar]:
    """``cost`` and ``time``, each only where there is a bound."""
    made = {}
    ahead = how.ahead
    if how.budget:
        used = how.usd / how.budget
        made["cost"] = _bar(
            used,
            ahead.usd_end / how.budget if ahead else used,
            ahead.usd_worst / how.budget if ahead else used,
            "of the budget",
        )
    if how.deadline and how.began and how.deadline > how.began:
        whole = how.deadline - how.began
        used = ((how.finished or how.now) - how.began) / whole
        made["time"] = _bar(
            used,
            (ahead.finish - how.began) / whole if ahead else used,
            (ahead.finish_worst - how.began) / whole if ahead else used,
            "of the time to the deadline",
        )
    return made


def _bar(used: float, expected: float, worst: float, what: str) -> Bar:
    expected = max(used, expected)
    text = f"{100 * used:.0f} % {what} used"
    if expected > used:
        text += f", {100 * expected:.0f} % expected at the end"
    return Bar(
        used=_percent(used),
        expected=_percent(expected),
        worst=_percent(max(expected, worst)),
        over=expected > 1,
        text=text,
    )


def _percent(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 1)
