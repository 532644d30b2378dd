"""What trainings used of their machines: a row each, and charts over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from markupsafe import Markup

from wmctl.report.collect import Report, Training
from wmctl.report.drawn import calibrates

OVER_TIME = {
    "cpu_cores": "Processor cores in use",
    "gpu_utilization": "GPU utilisation, share of time",
}
"""Figures of ``train`` lines that are drawn besides memory."""


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """Of the process that leads a training; None for what its machine does not tell."""

    label: str
    memory_peak_gb: float | None
    """Resident, the most of all attempts."""
    cpu_cores: float | None
    """Mean over the samples, as are shares."""
    gpu_memory_peak_gb: float | None
    gpu_total_gb: float | None
    gpu_utilization: float | None
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The part of a page about the trainings of one game."""

    rows: list[DeviceUse]
    charts: list[Markup]


def panels(report: Report) -> dict[str, Panel]:
    """Game -> its panel, of those games whose trainings have samples."""
    made = {}
    for game in dict.fromkeys(node.game for node in report.spec.nodes):
        own = {
            name: t
            for name, t in report.trainings.items()
            if t.game == game and not calibrates(report, name)
        }
        if rows := _rows(own):
            # The SVG is ours, so it is not escaped.
            made[game] = Panel(rows, [Markup(svg) for svg in _charts(own)])  # noqa: S704
    return made


def _rows(trainings: Mapping[str, Training]) -> list[DeviceUse]:
    return [
        DeviceUse(
            t.label,
            _of(max, t, "memory_peak_gb"),
            _of(fmean, t, "cpu_cores"),
            _of(max, t, "gpu_memory_peak_gb"),
            _of(max, t, "gpu_total_gb"),
            _of(fmean, t, "gpu_utilization"),
        )
        for t in trainings.values()
        if _values(t, "memory_peak_gb")
    ]


def _charts(trainings: Mapping[str, Training]) -> list[str]:
    from wmctl.report import charts  # matplotlib takes a moment to import

    made = []
    if memory := _curves(trainings, "memory_gb"):
        anonymous = _curves(trainings, "memory_anon_gb")
        title = "Memory, GB (dashed: without mapped files)"
        made.append(charts.lines(title, memory, dashed=anonymous, x="minutes"))
    for name, title in OVER_TIME.items():
        if curves := _curves(trainings, name):
            made.append(charts.lines(title, curves, x="minutes"))
    return made


def _of(summary: Callable[[Sequence[float]], float], training: Training, name: str) -> float | None:
    values = _values(training, name)
    return summary(values) if values else None


def _values(training: Training, name: str) -> list[float]:
    return [point[name] for point in _samples(training, name)]


def _samples(training: Training, name: str) -> list[dict[str, Any]]:
    points = training.points
    return [point for point in points if point["event"] == "train" and name in point]


def _curves(
    trainings: Mapping[str, Training], name: str
) -> dict[str, tuple[list[float], list[float]]]:
    """Label -> (minutes since the training's first line, values)."""
    curves = {}
    for training in trainings.values():
        samples = _samples(training, name)
        if len(samples) > 1:
            begun = min(point["time"] for point in training.points if "time" in point)
            minutes = [(point["time"] - begun) / 60 for point in samples]
            curves[training.label] = (minutes, [point[name] for point in samples])
    return curves
