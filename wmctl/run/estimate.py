"""How much work a node is, and how long it should take: from earlier runs, else a stated guess."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wm.store import Store
from wmctl.plan.graph import Node
from wmctl.run.find import list_runs
from wmctl.run.history import History
from wmctl.run.state import read_state

GUESSES = {"game": 0.01, "MB": 0.5, "batch item": 0.002, "pair": 0.2, "start": 0.02}
"""Seconds per unit of work on one core, used until a run in this store has measured it."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much a node has to do."""

    amount: float
    unit: str

    def __str__(self) -> str:
        plural = "" if self.unit == "MB" or self.amount == 1 else "s"
        return f"{self.amount:,.0f} {self.unit}{plural}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Work and time of a node."""

    work: Work
    seconds: float
    source: str
    """Run that it was measured in, or ``guess``."""


def work_of(node: Node) -> Work:
    """Games or MB to encode, items to train on, pairs or starts to compare."""
    config = node.config
    if node.kind == "encode":
        if made := re.match(r"made:(\d+)", config["source"]):
            return Work(int(made[1]), "game")
        return Work(_bytes(Path(config["source"])) / 1e6, "MB")
    if node.kind == "train":
        return Work(config["steps"] * config["batch"], "batch item")
    pairings = len(node.seats) * (len(node.seats) - 1) / 2
    if node.game == "chess":
        return Work(config["pairs"] * pairings, "pair")
    return Work(config["games"] * config["starts_per_game"] * len(node.seats), "start")


def estimate(store: Store, nodes: Iterable[Node]) -> dict[str, Estimate]:
    """An estimate for every node, by name."""
    measured = _measured(store)
    estimates = {}
    for node in nodes:
        work = work_of(node)
        rate, source = measured.get(_shape(node), (GUESSES[work.unit], "guess"))
        estimates[node.name] = Estimate(work, work.amount * rate, source)
    return estimates


def makespan(nodes: Sequence[Node], seconds: Mapping[str, float], cpus: int) -> float:
    """Seconds from start to end when nodes start in order as soon as they can."""
    now, free = 0.0, cpus
    done: set[str] = set()
    waiting = list(nodes)
    running: list[tuple[float, str, int]] = []
    while waiting or running:
        for node in [n for n in waiting if done.issuperset(n.needs)]:
            if node.cores <= free or not running:
                heapq.heappush(running, (now + seconds[node.name], node.name, node.cores))
                free -= node.cores
                waiting.remove(node)
        now, name, cores = heapq.heappop(running)
        free += cores
        done.add(name)
    return now


def _measured(store: Store) -> dict[str, tuple[float, str]]:
    """Seconds per unit of work by shape of node, from the newest run that has it."""
    rates: dict[str, tuple[float, str]] = {}
    for spec in list_runs(store):
        state = read_state(spec, History(store, spec.run).events)
        for node in spec.nodes:
            own = state.nodes[node.name]
            # Only whole, undisturbed attempts say how long a node takes.
            whole = own.phase == "done" and own.attempt == 1 and not own.result.get("hit")
            if whole and _shape(node) not in rates:
                seconds = own.ended - own.started
                rates[_shape(node)] = (seconds / max(work_of(node).amount, 1e-9), spec.run)
    return rates


def _shape(node: Node) -> str:
    """Nodes of one shape take the same time per unit of work."""
    shape = [node.kind, node.game, work_of(node).unit, node.cores]
    if node.kind == "train":
        shape += [sorted(node.config["model"].items()), node.config["length"], node.config["mode"]]
    if node.kind == "arena":
        shape += [len(node.seats), node.config["max_plies"], max(node.config["horizons"])]
    return repr(shape)


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size if path.is_file() else 0
