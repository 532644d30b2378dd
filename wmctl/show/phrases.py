"""Events, durations and sizes in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from wm.errors import Exit, retryable
from wm.stage.spec import Heartbeat
from wmctl.run import prices
from wmctl.run.history import Event
from wmctl.run.prices import Prices

money = prices.money
"""Amounts in the words of the decisions that name them."""


def clock(seconds: float) -> str:
    """Local wall-clock time."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def hour(seconds: float) -> str:
    """Local wall-clock time without seconds, with the day where it is not today's."""
    at = time.localtime(seconds)
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", at)
    return time.strftime("%H:%M" if today else "%a %H:%M", at)


def duration(seconds: float) -> str:
    """``45s``, ``3m 20s``, ``2h 05m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} TB" if count >= 999.5 else f"{count:.3g} TB"


def count(number: int, what: str) -> str:
    """``1 game``, ``1,200 games``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def heartbeat(beat: Heartbeat) -> str:
    """``120/400 steps, loss 5.1``."""
    of = f"/{beat.total:,}" if beat.total else ""
    facts = "".join(f", {k.replace('_per_s', '/s')} {_number(v)}" for k, v in beat.facts.items())
    return f"{beat.done:,}{of} {beat.unit}{facts}" if beat.unit else "starting"


def event(event: Event) -> str:
    """One line for an event."""
    match event.event:
        case "submitted":
            return "run submitted"
        case "resumed":
            return "run taken up again"
        case "interrupted":
            return "stopping; stages save their state first"
        case "started":
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            steps = event.detail.get("steps")
            work = f", {count(steps, 'step')}" if steps else ""
            return f"{event.stage} started{again}{work}"
        case "ended":
            if event.code == 0:
                parts = [made(event.detail), event.detail.get("model", "")]
                what = ", ".join(part for part in parts if part)
                return f"{event.stage} done: {what}" if what else f"{event.stage} done"
            hint = f" — {event.hint}" if event.hint else ""
            how = "ended" if retryable(event.code or Exit.BUG) else "failed"
            return f"{event.stage} {how} with code {event.code}: {event.text}{hint}"
        case "gate":
            return f"gate {event.text}"
        case "verdict":
            if event.outcome == "stop":
                return f"verdict {event.name}: stop — {event.text}"
            return f"verdict {event.name}: {event.text}"
        case "chosen":
            return f"choice {event.name}: {event.text}"
        case "skipped":
            return f"left out: {event.text}"
        case "over":
            return f"{event.text}; stages save their state, and what there is is judged"
        case "priced":
            return priced(event)
        case "cancelled" | "swept" | "hung" | "shortened":
            return event.text
        case "observed":
            return ""  # progress, which is shown as such
        case "finished":
            # What failed was said when it did.
            how = f" with code {event.code}" if event.code else f": {event.text}"
            return f"run finished{how}"


def priced(event: Event, before: Prices | None = None) -> str:
    """What machines cost from a ``priced`` event on; only what has changed since ``before``."""
    prices = Prices.model_validate(event.detail.get("prices", {}))
    old = price_rows(before) if before else {}
    changes = [
        f"{name} {money(usd)}" + (f" (was {money(old[name])})" if name in old else "")
        for name, usd in price_rows(prices).items()
        if old.get(name) != usd
    ]
    return f"{event.text}: {', '.join(changes)}" if changes else event.text


def price_rows(prices: Prices) -> dict[str, float]:
    """Name -> USD, in the names that ``wmctl prices`` takes."""
    rows = {"cpu": prices.cpu} | prices.gpus
    return rows | {"gb_month": prices.gb_month, "gb_read": prices.gb_read}


def made(result: Mapping[str, Any]) -> str:
    """What a stage made: ``300 train, 20 val, 20 test games, 3 rejected``; empty for an arena."""
    if "dataset" in result:
        games = ", ".join(f"{n:,} {split}" for split, n in result.get("games", {}).items())
        rejects = sum(result.get("rejects", {}).values())
        refused = f", {rejects:,} rejected" if rejects else ""
        return f"{games} games{refused}{' (hit)' if result.get('hit') else ''}"
    return count(result["step"], "step") if "model" in result else ""


def _number(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
