"""``runs/<run>/index.html``: the report as one self-contained page, for phone and paper."""

from __future__ import annotations

import logging
import math
import time
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from wm.artifacts.result import Interval
from wm.errors import WmError
from wm.store import Store
from wmctl.report.bars import bars
from wmctl.report.collect import Report, collect
from wmctl.report.device import panels
from wmctl.report.drawn import by_rating, drawn
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show import phrases
from wmctl.show.decisions import decisions
from wmctl.show.terms import terms_rows

logger = logging.getLogger("wm.report")

RENDER_EVERY = 10.0
"""Seconds between two renderings while a run goes on."""


REFRESH = 30
"""Seconds after which an open page of a run under way loads itself again."""

FEW = 10
"""Decisions that are shown at once; earlier ones unfold."""

SPRT = {"accept_h1": "better", "accept_h0": "not better", "continue": "open"}
"""Decision of a pairing's SPRT, of its first player."""


class PageKeeper:
    """Keeps a run's page current while its conductor is at work."""

    def __init__(self, store: Store, spec: RunSpec) -> None:
        self._store, self._spec = store, spec
        self._rendered_at = 0.0

    def tell(self, event: Event) -> None:
        """Render at once when the run is finished."""
        if event.event == "finished":
            self._render()

    def tick(self, state: RunState) -> None:
        """Render again when the page is old."""
        if not state.finished and time.monotonic() - self._rendered_at > RENDER_EVERY:
            self._render()

    def _render(self) -> None:
        try:
            publish(self._store, collect(self._store, self._spec))
        except WmError as error:
            logger.info("the page of %s could not be written: %s", self._spec.run, error.message)
        except Exception:  # the page is for people; trouble with it must not end a run
            logger.exception("the page of %s could not be written", self._spec.run)
        self._rendered_at = time.monotonic()


def publish(store: Store, report: Report) -> str:
    """Write the page to the store; returns its key."""
    key = f"runs/{report.spec.run}/index.html"
    store.put(key, render(report).encode())
    return key


def render(report: Report) -> str:
    """The page's HTML."""
    now = time.time()
    how = report.standing(now)
    last = how.finished or now

    def moment(seconds: float) -> str:
        return _moment(seconds, last)

    return _template().render(
        report=report,
        spec=report.spec,
        state=report.state,
        phrases=phrases,
        charts=drawn(report),
        device=panels(report),
        lineage=report.lineage(),
        how=how,
        bars=bars(how),
        decisions=decisions(report.events),
        few=FEW,
        refresh=None if report.state.finished else REFRESH,
        terms=terms_rows(report.spec, report.state, _clock),
        moment=moment,
        sprt=SPRT,
        now=now,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("wmctl", "report"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "by_rating": by_rating,
        "clock": _clock,
        "elo": _elo,
        "interval": _interval,
        "percent": _percent,
    }
    return environment.get_template("page.html")


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _moment(seconds: float, near: float) -> str:
    """Hour and minute, with the day where it is far from the moment that people look at."""
    far = abs(seconds - near) > 20 * 3600
    return time.strftime("%b %d %H:%M" if far else "%H:%M", time.gmtime(seconds))


def _interval(figure: Interval | None, digits: int = 3) -> str:
    if figure is None or not math.isfinite(figure.value):
        return "–"
    return f"{figure.value:.{digits}g} [{figure.low:.{digits}g}, {figure.high:.{digits}g}]"


def _elo(figure: Interval | None) -> str:
    """Whole points: nobody measures tenths of them."""
    if figure is None or not all(map(math.isfinite, (figure.value, figure.low, figure.high))):
        return "–"
    return f"{round(figure.value)} [{round(figure.low)}, {round(figure.high)}]"


def _percent(figure: Interval | None) -> str:
    if figure is None or not math.isfinite(figure.value):
        return "–"
    return f"{100 * figure.value:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
