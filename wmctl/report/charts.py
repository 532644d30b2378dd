"""Charts as inline SVG: text stays text, no script, nothing fetched."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from wm.artifacts.result import Interval

SIZE = (4.4, 2.5)
"""Inches: on a phone a chart fills the width and its text is still read."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "wmctl",  # equal data give equal bytes
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}

BESIDE = 4
"""Curves up to which their names stand among them, not below."""
FEW = 12
"""Points up to which each is marked: a curve that has only begun is seen too."""

Curve = tuple[Sequence[float], Sequence[float]]


def lines(
    title: str, curves: Mapping[str, Curve], *, x: str = "step", dashed: Mapping[str, Curve] = {}
) -> str:
    """One line per named curve; ``dashed`` curves share the colour of their namesake."""
    with rc_context(STYLE):
        figure = Figure(SIZE)
        axes = figure.add_subplot()
        for name, (xs, ys) in curves.items():
            dots = "o" if len(xs) <= FEW else ""
            (line,) = axes.plot(xs, ys, label=name, linewidth=1.2, marker=dots, markersize=2.5)
            if name in dashed:
                axes.plot(*dashed[name], "--", color=line.get_color(), linewidth=1.2)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel(x)
        if len(curves) > BESIDE:  # they would hide the curves
            rows = -(-len(curves) // 3)
            figure.set_size_inches(SIZE[0], SIZE[1] + 0.16 * rows)
            figure.legend(loc="outside lower center", ncols=3, fontsize=7)
        elif curves:
            axes.legend()
        return _svg(figure, title)


def intervals(title: str, rows: Mapping[str, Interval], *, x: str) -> str:
    """A dot with its 95 % interval per row, the first row on top, and a line at zero."""
    with rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure = Figure((SIZE[0], 0.8 + 0.28 * len(rows)))
        axes = figure.add_subplot()
        for y, figure_of in enumerate(rows.values()):
            axes.plot([figure_of.low, figure_of.high], [y, y], color="C0", linewidth=2)
            axes.plot([figure_of.value], [y], "o", color="C0", markersize=4)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel(x)
        return _svg(figure, title)


def bands(title: str, rows: Mapping[str, Mapping[int, Interval]], *, x: str) -> str:
    """A line with its 95 % band per player over horizons, and a line at zero."""
    with rc_context(STYLE):
        figure = Figure(SIZE)
        axes = figure.add_subplot()
        for name, points in rows.items():
            xs = sorted(points)
            axes.plot(xs, [points[h].value for h in xs], "o-", markersize=3, label=name)
            axes.fill_between(
                xs, [points[h].low for h in xs], [points[h].high for h in xs], alpha=0.2
            )
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xscale("log")
        ticks = sorted({h for points in rows.values() for h in points})
        axes.set_xticks(ticks, [str(h) for h in ticks])
        axes.minorticks_off()
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel(x)
        if rows:
            axes.legend()
        return _svg(figure, title)


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    label = title.replace("&", "and").replace("<", " ").replace('"', "'")
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
