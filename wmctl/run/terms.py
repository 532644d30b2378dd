"""The terms of a submission: until when, at what price, and what was expected of it.

They stand in the event that begins a submission, so that whatever is decided later can be
understood, and decided again, from the store alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from wm.store import Store
from wmctl.plan.model import Plan
from wmctl.plan.node import Node
from wmctl.plan.quantities import deadline_after
from wmctl.run.estimate import Estimate
from wmctl.run.ledger import estimates
from wmctl.run.prices import Prices, check_prices

On = Literal["local", "kubernetes"]

ANY_CPUS = 1_000_000
"""The cluster's scheduler, not the conductor, says how much runs at once."""


class Terms(BaseModel):
    """What holds from one submission to the next."""

    model_config = ConfigDict(extra="forbid")

    on: On = "local"
    """Where stages run."""
    cpus: int = ANY_CPUS
    """Processor cores that may be kept busy at once."""
    hardware: str = ""
    """What it is, for the ledger."""
    deadline: float | None = None
    """Seconds since the epoch."""
    prices: Prices = Prices()
    estimates: dict[str, Estimate] = {}
    """Node -> what was expected of it before anything had run."""
    accepted: list[str] = []
    """Objections that were overridden with --accept."""


def make_terms(
    store: Store,
    plan: Plan,
    nodes: Sequence[Node],
    now: float,
    *,
    on: On,
    cpus: int,
    prices: Prices,
    tflops: Mapping[str, float] | None = None,
) -> Terms:
    """The terms of a submission at ``now``. BadConfig where a budget meets a GPU of no price."""
    if plan.budget is not None and on != "local":
        check_prices(prices, nodes)
    hardware = f"{_processor()} x{cpus}" if on == "local" else on
    return Terms(
        on=on,
        cpus=cpus,
        hardware=hardware,
        deadline=deadline_after(plan.deadline, now) if plan.deadline else None,
        prices=prices,
        estimates=estimates(store, plan, nodes, on=on, hardware=hardware, tflops=tflops),
    )


def _processor() -> str:
    """Name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "cpu"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "cpu"
