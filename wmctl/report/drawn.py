"""Which charts a run's page has: curves of trainings, ratings and skills of arenas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from wm.artifacts.result import Interval, PlayerRow
from wmctl.report.collect import Report, Training

CURVES = {
    "chess": ("top1", "raw_legal"),
    "melee": ("position_skill@h=10", "change_accuracy"),
}
"""Held-out metrics that are drawn over the steps, beside the loss."""


def drawn(report: Report) -> dict[str, list[Markup]]:
    """Game -> its charts. The SVG is ours, so it is not escaped."""
    from wmctl.report import charts  # matplotlib takes a moment to import

    games = dict.fromkeys(node.game for node in report.spec.nodes)
    made: dict[str, list[str]] = {game: [] for game in games}
    for game in games:
        own = {
            t.label: t
            for name, t in report.trainings.items()
            # A calibration's hundred steps say nothing of how well it learns.
            if t.game == game and t.points and not calibrates(report, name)
        }
        if own:
            made[game].append(
                charts.lines(
                    "Loss (dashed: held out)",
                    _curves(own, "train", "loss"),
                    dashed=_curves(own, "validate", "loss"),
                )
            )
        for metric in CURVES[game]:
            if curves := _curves(own, "validate", metric):
                made[game].append(charts.lines(f"Held-out {metric}", curves))
    for result in report.arenas.values():
        ratings = {p.name: p.rating for p in by_rating(result.players) if p.rating}
        made[result.game].append(charts.intervals("Rating with 95 % interval", ratings, x="Elo"))
        skills = {p.name: _by_horizon(p.metrics) for p in result.players if p.model}
        if shown := {name: points for name, points in skills.items() if points}:
            title = "Position skill by horizon (0: the best baseline)"
            made[result.game].append(charts.bands(title, shown, x="frames ahead"))
    return {game: [Markup(svg) for svg in svgs] for game, svgs in made.items()}  # noqa: S704


def calibrates(report: Report, name: str) -> bool:
    """Whether that train stage only measures how fast trainings are."""
    return report.spec.plan.stages[report.spec.node(name).stage].calibrate is not None


def by_rating(players: Sequence[PlayerRow]) -> list[PlayerRow]:
    """The strongest first, those without a rating last."""
    return sorted(players, key=lambda p: p.rating.value if p.rating else -math.inf, reverse=True)


def _curves(
    trainings: Mapping[str, Training], event: str, name: str
) -> dict[str, tuple[list[int], list[float]]]:
    found = {label: t.curve(event, name) for label, t in trainings.items()}
    return {label: curve for label, curve in found.items() if curve[0]}


def _by_horizon(metrics: Mapping[str, Interval]) -> dict[int, Interval]:
    start = "skill@h="
    return {int(k.removeprefix(start)): v for k, v in metrics.items() if k.startswith(start)}
