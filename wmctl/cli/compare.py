"""``wmctl compare``: how two runs differ, in what they were to do and in what came of it."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import click
from rich.text import Text

from wm.artifacts.result import Interval
from wm.store import Store, open_store
from wmctl.report.collect import Report, collect
from wmctl.report.compare import Comparison, Pair, compare
from wmctl.report.drawn import CURVES
from wmctl.run.find import find_run
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.show.standing import worked

NONE = "–"


@click.command()
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, first: str, second: str, as_json: bool) -> None:
    """Show how the second RUN differs from the first: settings, time, cost, figures, verdicts.

    \b
    Example:
      wmctl compare demo-1122-k3f9 demo-1123-a2b4
    """
    opened, now = open_store(store), time.time()
    a, b = _collect(opened, first), _collect(opened, second)
    seconds = worked(a.events, now), worked(b.events, now)
    made = compare(a, b, seconds=seconds, now=now)
    if as_json:
        runs = {"a": a.spec.run, "b": b.spec.run}
        click.echo(json.dumps(runs | made.as_json(), indent=1))
        return
    _show(a.spec.run, b.spec.run, made)


def _collect(store: Store, run: str) -> Report:
    return collect(store, find_run(store, run))


def _show(a: str, b: str, made: Comparison) -> None:
    if made.settings:
        _table("settings that differ", a, b, made.settings, _value)
    else:
        click.echo("both do the same: no setting differs")
    _stages(a, b, made.stages)
    heads = [pair for pair in made.metrics if _is_head(pair.name)]
    _table("held-out figures", a, b, heads, _figure, change=True)
    if len(made.metrics) > len(heads):
        click.echo(f"{phrases.count(len(made.metrics) - len(heads), 'more figure')}: --json")
    _table("ratings in Elo (95 %)", a, b, made.ratings, _rating)
    _table("verdicts", a, b, made.verdicts, lambda v: v or "open")
    seconds, usd = made.totals
    click.echo(
        f"\n{a}: {phrases.duration(seconds.a)}, {phrases.money(usd.a)}; "
        f"{b}: {phrases.duration(seconds.b)}, {phrases.money(usd.b)}"
    )


def _table(
    title: str, a: str, b: str, pairs: list[Pair], shown: Any, *, change: bool = False
) -> None:
    if not pairs:
        return
    click.echo(f"\n{title}")
    table = columns("stage", "", a, b, *(("difference",) if change else ()))
    before = ""
    for pair in pairs:
        difference = pair.difference()
        more = [_signed(difference)] if change else []
        of = "" if pair.of == before else pair.of
        row = [of, pair.name, shown(pair.a), shown(pair.b), *more]
        table.add_row(*(Text(cell) for cell in row))
        before = pair.of
    show(table)


def _stages(a: str, b: str, pairs: list[Pair]) -> None:
    click.echo("\nstages")
    table = columns("stage", a, "time", "cost", b, "time", "cost")
    for i in range(0, len(pairs), 3):
        row = pairs[i : i + 3]
        one, other = ([getattr(pair, side) for pair in row] for side in "ab")
        table.add_row(row[0].of, *_facts(one), *_facts(other))
    show(table)


def _facts(facts: list[Any]) -> list[str]:
    phase, seconds, usd = facts
    if phase is None:
        return ["not in this run", "", ""]
    took = phrases.duration(seconds) if seconds else ""
    return [phase, took, phrases.money(usd) if usd else ""]


def _is_head(metric: str) -> bool:
    """Whether it is worth a line on a screen: no baseline's, no part of another."""
    if any(metric in curves for curves in CURVES.values()):
        return True
    return "@" not in metric and not metric.endswith(("_copy", "_constant_velocity"))


def _value(value: Any) -> str:
    return NONE if value is None else value if isinstance(value, str) else json.dumps(value)


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else NONE


def _signed(value: float | None) -> str:
    return NONE if value is None or not math.isfinite(value) else f"{value:+.3g}"


def _rating(value: Interval | None) -> str:
    if value is None or not math.isfinite(value.value):
        return NONE
    return f"{value.value:.0f} [{value.low:.0f}, {value.high:.0f}]"
