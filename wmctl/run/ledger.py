"""``ledger/<shape>.json``: how fast nodes of a shape were on some hardware, newest sample last.

Written by conductors as stages end, read by whoever makes a forecast. Two conductors that write at
once may lose a sample, and nothing more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import statistics
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import WmError
from wm.store import NotFound, Store
from wmctl.plan.model import Plan
from wmctl.plan.node import Node
from wmctl.run.estimate import (
    Estimate,
    Pace,
    estimate_from,
    guess,
    pace_of,
    shape,
    unit_size,
    work_of,
)

KEEP = 8
"""Samples of a shape that are kept."""

logger = logging.getLogger("wm.conductor")


class Page(BaseModel):
    """One shape's samples."""

    model_config = ConfigDict(extra="forbid")

    shape: str
    """For people, and against two shapes of one hash."""
    unit: float = 1.0
    """How much one unit was, see :func:`wmctl.run.estimate.unit_size`."""
    samples: list[Pace] = []

    def pace(self) -> Pace:
        """The newest sample, with the median of the paces of all."""
        newest = self.samples[-1]
        medians = {
            name: statistics.median(getattr(sample, name) for sample in self.samples)
            for name in ("start_s", "unit_s", "save_s")
        }
        return newest.model_copy(update=medians)


def estimates(
    store: Store,
    plan: Plan,
    nodes: Iterable[Node],
    *,
    on: str,
    hardware: str,
    tflops: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """An estimate for every node, by name: measured on this hardware, else a guess."""
    found: dict[str, Page | None] = {}
    made = {}
    for node in nodes:
        work = work_of(node, store)
        made[node.name] = guess(node, work, on, tflops or {})
        for like in (False, True):
            key = _key(node, hardware, hit=expects_hit(plan, node), like=like)
            if key not in found:
                found[key] = _read(store, key)
            if (page := found[key]) is not None:
                scale = unit_size(node) / page.unit if like else 1.0
                made[node.name] = estimate_from(node, work, page.pace(), scale=scale)
                break
    return made


def record(
    store: Store,
    node: Node,
    seconds: float,
    result: Mapping[str, object],
    *,
    hardware: str,
    run: str,
    time: float,
) -> None:
    """Enter an undisturbed attempt that has ended well; trouble with that is no trouble."""
    pace = pace_of(node, work_of(node, store), seconds, result, run, time)
    if pace is None:
        return
    hit = bool(result.get("hit"))
    for like in (False, True):
        key = _key(node, hardware, hit=hit, like=like)
        try:
            page = _read(store, key) or Page(shape=_text(node, hardware, hit=hit, like=like))
            if page.unit != unit_size(node):  # paces of other units do not mix
                page = page.model_copy(update={"unit": unit_size(node), "samples": []})
            page.samples = [*page.samples, pace][-KEEP:]
            store.put(key, page.model_dump_json(indent=1).encode())
        except WmError as error:
            logger.info("the ledger could not be written: %s", error.message)


def expects_hit(plan: Plan, node: Node) -> bool:
    """Whether the plan goes on only where the data set is there already."""
    return node.kind == "encode" and any(
        gate.after == node.stage and any(c.metric == "hit" for c in gate.require)
        for gate in plan.gates
    )


def _text(node: Node, hardware: str, *, hit: bool, like: bool) -> str:
    return json.dumps([hardware, hit, like, *shape(node, like=like)], sort_keys=True)


def _key(node: Node, hardware: str, *, hit: bool, like: bool) -> str:
    text = _text(node, hardware, hit=hit, like=like)
    return f"ledger/{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _read(store: Store, key: str) -> Page | None:
    try:
        page = Page.model_validate_json(store.get(key))
    except (NotFound, ValidationError):
        return None
    return page if page.samples else None
