"""Events, durations and sizes in words."""

from __future__ import annotations

import time

from wm.stage.spec import Heartbeat
from wmctl.run.history import Event


def clock(seconds: float) -> str:
    """Local wall-clock time."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


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
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def heartbeat(beat: Heartbeat) -> str:
    """``step 120/400, loss 5.1``."""
    of = f"/{beat.total}" if beat.total else ""
    facts = "".join(f", {k} {_number(v)}" for k, v in beat.facts.items())
    return f"{beat.unit} {beat.done}{of}{facts}" if beat.unit else "starting"


def event(event: Event) -> str:
    """One line for an event."""
    match event.event:
        case "submitted":
            return "run submitted"
        case "resumed":
            return "run taken up again"
        case "started":
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            return f"{event.stage} started{again}"
        case "ended":
            if event.code == 0:
                return f"{event.stage} done{_made(event)}"
            hint = f" — {event.hint}" if event.hint else ""
            return f"{event.stage} failed with code {event.code}: {event.text}{hint}"
        case "gate":
            return f"gate {event.text}"
        case "verdict":
            if event.outcome == "stop":
                return f"verdict {event.name}: stop — {event.text}"
            return f"verdict {event.name}: {event.text}"
        case "finished":
            return f"run finished: {event.text}"


def _made(event: Event) -> str:
    made = event.detail
    if "dataset" in made:
        games = ", ".join(f"{n} {split}" for split, n in made.get("games", {}).items())
        rejects = sum(made.get("rejects", {}).values())
        refused = f", {rejects} rejected" if rejects else ""
        return f": {games} games{refused}{' (hit)' if made.get('hit') else ''}"
    if "model" in made:
        return f": step {made['step']}, {made['model']}"
    return ""


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
