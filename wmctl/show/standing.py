"""How a run stands: what it has cost and when it should be over, against budget and deadline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from wmctl.run.history import Event
from wmctl.run.outlook import Outlook
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show import phrases

OLD = 180.0
"""Seconds after which a forecast is no longer current: conductors make one each minute."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Money in USD, moments in seconds since the epoch."""

    now: float
    usd: float
    """What the run has cost so far."""
    budget: float | None
    began: float
    """When the newest submission took the run up; 0 before the first."""
    deadline: float | None
    finished: float | None
    ahead: Outlook | None
    """The newest forecast; None once the run is finished, and before the first."""
    judged: float | None = None
    """When the last of its verdicts was reached."""

    @property
    def deadline_kept(self) -> bool | None:
        """Whether the verdicts were there by then, or all was done where there are none. None while
        that is open, and where there is no deadline."""
        if self.deadline is None:
            return None
        if self.finished is not None:  # pods may take a minute more to go
            return (self.judged or self.finished) <= self.deadline
        return False if self.now > self.deadline else None

    @property
    def is_old(self) -> bool:
        """Whether nobody keeps the forecast current."""
        return self.ahead is not None and self.now - self.ahead.time > OLD

    def cost(self) -> dict[str, float | None]:
        """For machines: so far, at the end and at worst, and the cap."""
        return {
            "usd": round(self.usd, 6),
            "usd_end": self.ahead.usd_end if self.ahead else None,
            "usd_worst": self.ahead.usd_worst if self.ahead else None,
            "budget": self.budget,
        }

    def forecast(self) -> dict[str, Any]:
        """For machines: the end, expected and at worst, and the deadline."""
        return {
            "time": self.ahead.time if self.ahead else None,
            "finish": self.ahead.finish if self.ahead else self.finished,
            "finish_worst": self.ahead.finish_worst if self.ahead else self.finished,
            "deadline": self.deadline,
            "deadline_kept": self.deadline_kept,
            "risk": self.ahead.risk if self.ahead else None,
        }


def standing(spec: RunSpec, state: RunState, ahead: Outlook | None, now: float) -> Standing:
    """How a run stands at ``now``; ``ahead`` is the newest forecast that was published."""
    finished = state.finished.time if state.finished else None
    usd = state.usd(spec, finished or now)
    if ahead and (finished is not None or ahead.time < state.since):
        ahead = None
    if ahead:  # it is a minute old, and what was spent by now is certain
        end, worst = max(usd, ahead.usd_end), max(usd, ahead.usd_worst)
        ahead = ahead.model_copy(update={"usd_end": end, "usd_worst": worst})
    return Standing(
        now=now,
        usd=usd,
        budget=spec.plan.budget,
        began=state.since,
        deadline=state.terms.deadline,
        finished=finished,
        ahead=ahead,
        judged=max((event.time for event in state.verdicts.values()), default=None),
    )


def worked(events: Sequence[Event], now: float) -> float:
    """Seconds that a run has been under way, without the time between its submissions."""
    seconds, began, last = 0.0, 0.0, 0.0
    stopped = True
    for event in events:
        if event.event in ("submitted", "resumed"):
            seconds += last - began
            began, stopped = event.time, False
        last = event.time
        stopped = stopped or event.event in ("interrupted", "finished")
    return seconds + (last if stopped else now) - began


def standing_lines(how: Standing) -> Iterator[Text]:
    """Two lines for a terminal: cost and finish."""
    yield _cost(how)
    if how.finished or how.ahead or how.deadline:
        yield _finish(how)


def _cost(how: Standing) -> Text:
    cap = f" of {phrases.money(how.budget)}" if how.budget else ""
    line = Text.assemble(("cost    ", "dim"), f"{phrases.money(how.usd)}{cap}")
    if how.ahead:
        tight = how.budget is not None and how.ahead.usd_worst > how.budget
        line.append(
            f" so far, about {phrases.money(how.ahead.usd_end)} at the end, "
            f"at worst {phrases.money(how.ahead.usd_worst)}",
            "yellow" if tight else "",
        )
    return line


def _finish(how: Standing) -> Text:
    parts, late, tight = [], how.deadline_kept is False, False
    if how.finished:
        parts.append(phrases.hour(how.finished))
    elif how.ahead:
        left = phrases.duration(max(0.0, how.ahead.finish - how.now))
        parts.append(f"{phrases.hour(how.ahead.finish)} (in {left})")
        parts.append(f"at worst {phrases.hour(how.ahead.finish_worst)}")
    if how.deadline:
        kept = {True: ", kept", False: ", missed", None: ""}[how.deadline_kept]
        parts.append(f"deadline {phrases.hour(how.deadline)}{kept}")
        late = late or (how.ahead is not None and how.ahead.finish > how.deadline)
        tight = how.ahead is not None and how.ahead.finish_worst > how.deadline
    colour = "red" if late else "yellow" if tight else ""
    line = Text.assemble(("finish  ", "dim"), (", ".join(parts), colour))
    if how.is_old and how.ahead:
        line.append(f"  (forecast of {phrases.hour(how.ahead.time)})", "dim")
    return line
