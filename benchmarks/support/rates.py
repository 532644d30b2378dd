"""Targets per second of several sides, taken in turns so that a busy machine is unfair to none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def rates(
    sides: Mapping[str, Callable[[], int]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """For each side the targets per second of each round, after one step that does not count.

    A round of a side is one step, and more while they take less than ``seconds`` together.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for step in sides.values():
        step()
    for _ in range(rounds):
        for name, step in sides.items():
            targets, begun = 0, time.perf_counter()
            while (spent := time.perf_counter() - begun) < seconds:
                targets += step()
            found[name].append(targets / spent)
    return found


def table(found: Mapping[str, list[float]], base: str) -> str:
    """Median, range and ratio to the median of ``base``."""
    width = max(map(len, found))
    reference = statistics.median(found[base])
    lines = [f"{'side':<{width}}  targets/s            range    ratio"]
    for name, each in found.items():
        median = statistics.median(each)
        span = f"{min(each):,.0f}..{max(each):,.0f}"
        lines.append(f"{name:<{width}}  {median:>9,.1f}  {span:>15}  {median / reference:>6.1f}x")
    return "\n".join(lines)
