"""``runs/<run>/index.html``: the report as one self-contained page, for phone and paper."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from wm.artifacts.result import Interval, PlayerRow
from wm.errors import WmError
from wm.store import Store
from wmctl.report.collect import Report, Training, collect
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show import phrases

logger = logging.getLogger("wm.report")

RENDER_EVERY = 10.0
"""Seconds between two renderings while a run goes on."""

LINK_FOR = 7 * 24 * 3600
"""Seconds that a link to the page opens it without credentials; what S3 allows at most."""

CURVES = {
    "chess": ("top1", "raw_legal"),
    "melee": ("position_skill@h=10", "change_accuracy"),
}
"""Held-out metrics that are drawn over the steps, beside the loss."""


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


def page_link(store: Store, run: str) -> str:
    """Where a person opens the page: a link that needs no credentials, or the file's path."""
    key = f"runs/{run}/index.html"
    return store.presign(key, LINK_FOR) or str(store.path(key) or f"{store.url}/{key}")


def render(report: Report) -> str:
    """The page's HTML."""
    return _template().render(
        report=report,
        spec=report.spec,
        state=report.state,
        phrases=phrases,
        charts=_charts(report),
        lineage=report.lineage(),
        now=time.time(),
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
        "by_rating": _by_rating,
        "clock": _clock,
        "elo": _elo,
        "interval": _interval,
        "percent": _percent,
    }
    return environment.get_template("page.html")


def _charts(report: Report) -> dict[str, list[Markup]]:
    """Game -> its charts. The SVG is ours, so it is not escaped."""
    from wmctl.report import charts  # matplotlib takes a moment to import

    games = dict.fromkeys(node.game for node in report.spec.nodes)
    drawn: dict[str, list[str]] = {game: [] for game in games}
    for game in games:
        own = {t.label: t for t in report.trainings.values() if t.game == game and t.points}
        if own:
            drawn[game].append(
                charts.lines(
                    "Loss (dashed: held out)",
                    _curves(own, "train", "loss"),
                    dashed=_curves(own, "validate", "loss"),
                )
            )
        for metric in CURVES[game]:
            if curves := _curves(own, "validate", metric):
                drawn[game].append(charts.lines(f"Held-out {metric}", curves))
    for result in report.arenas.values():
        ratings = {p.name: p.rating for p in _by_rating(result.players) if p.rating}
        drawn[result.game].append(charts.intervals("Rating with 95 % interval", ratings, x="Elo"))
        skills = {p.name: _by_horizon(p.metrics) for p in result.players if p.model}
        if shown := {name: points for name, points in skills.items() if points}:
            title = "Position skill by horizon (0: the best baseline)"
            drawn[result.game].append(charts.bands(title, shown, x="frames ahead"))
    return {game: [Markup(svg) for svg in svgs] for game, svgs in drawn.items()}  # noqa: S704


def _curves(
    trainings: Mapping[str, Training], event: str, name: str
) -> dict[str, tuple[list[int], list[float]]]:
    found = {label: t.curve(event, name) for label, t in trainings.items()}
    return {label: curve for label, curve in found.items() if curve[0]}


def _by_horizon(metrics: Mapping[str, Interval]) -> dict[int, Interval]:
    start = "skill@h="
    return {int(k.removeprefix(start)): v for k, v in metrics.items() if k.startswith(start)}


def _by_rating(players: Sequence[PlayerRow]) -> list[PlayerRow]:
    """The strongest first, those without a rating last."""
    return sorted(players, key=lambda p: p.rating.value if p.rating else -math.inf, reverse=True)


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


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
