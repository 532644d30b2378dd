"""``runs/<run>/spec.json``: what a run will do, resolved once at submission."""

from __future__ import annotations

import hashlib
import json
import time
from functools import cached_property
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData
from wm.store import ABSENT, Conflict, NotFound, Store
from wmctl.plan.model import Plan
from wmctl.plan.node import Node, select
from wmctl.plan.rules import Gate


class RunSpec(BaseModel):
    """A plan and its resolved nodes; never changed after submission."""

    model_config = ConfigDict(extra="forbid")

    run: str
    """Id such as ``demo-1122-k3f9``: plan, month and day, hash of what is to be done."""
    plan: Plan
    nodes: list[Node]
    created: float
    """Seconds since the epoch."""
    version: str
    """Version of wmctl that resolved it."""

    def node(self, name: str) -> Node:
        """The node of that name."""
        return self.by_name[name]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Name -> node."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def gates_before(self) -> dict[str, list[Gate]]:
        """Node -> gates that must be decided before it starts."""
        found: dict[str, list[Gate]] = {node.name: [] for node in self.nodes}
        for gate in self.plan.gates:
            judged = {node.name for node in select(self.by_name, gate.after)}
            guarded = {n.name for s in gate.guards for n in select(self.by_name, s)}
            for node in self.nodes:
                if node.name in guarded or (not gate.guards and judged & set(node.needs)):
                    found[node.name].append(gate)
        return found

    @cached_property
    def among(self) -> dict[str, list[Node]]:
        """Choice -> the trainings that it is among, in the plan's order."""
        found: dict[str, list[Node]] = {}
        for name, choice in self.plan.choices.items():
            nodes = {n.name: n for s in choice.among for n in select(self.by_name, s)}
            found[name] = [node for node in nodes.values() if node.kind == "train"]
        return found

    @cached_property
    def bet_of(self) -> dict[str, str]:
        """Node -> the choice by what fits that must take it."""
        fits = [name for name, choice in self.plan.choices.items() if choice.fits]
        return {node.name: name for name in fits for node in self.among[name]}

    @cached_property
    def waits_for(self) -> dict[str, frozenset[str]]:
        """Node -> all nodes that must be over before it starts."""
        found = {}
        for node in self.nodes:
            selectors = [gate.after for gate in self.gates_before[node.name]]
            for choice in node.choices:
                selectors += self.plan.choices[choice].among
            judged = {n.name for s in selectors for n in select(self.by_name, s)}
            found[node.name] = frozenset({*node.needs, *node.after, *judged} - {node.name})
        return found


def submit(store: Store, plan: Plan, nodes: list[Node], *, anew: bool = False) -> RunSpec:
    """Enter a run in the store, or find the one that does exactly the same already.

    Submitting is idempotent: the same plan over the same sources is the same run until ``anew``
    asks for another. Two submissions at the same moment agree on one by a conditional write.
    """
    pointer = f"plans/{_digest(plan, nodes)}.json"
    if not anew:
        try:
            return read_spec(store, json.loads(store.get(pointer))["run"])
        except NotFound:
            pass
    spec = draft(plan, nodes, anew=anew)
    try:
        store.put(spec_key(spec.run), spec.model_dump_json(indent=1).encode(), only_if=ABSENT)
    except Conflict:
        spec = read_spec(store, spec.run)
    store.put(pointer, json.dumps({"run": spec.run}).encode())
    return spec


def draft(plan: Plan, nodes: list[Node], *, anew: bool = False) -> RunSpec:
    """The run that submitting would enter in the store."""
    now = time.time()
    salt = hashlib.sha256(f"{_digest(plan, nodes)}{now if anew else ''}".encode()).hexdigest()
    run = f"{plan.name}-{time.strftime('%m%d', time.gmtime(now))}-{_base32(salt)}"
    return RunSpec(run=run, plan=plan, nodes=nodes, created=now, version=version("wmctl"))


def read_spec(store: Store, run: str) -> RunSpec:
    """The spec of a run; raises ``NotFound``, and ``BadData`` where it cannot be read."""
    try:
        return RunSpec.model_validate_json(store.get(spec_key(run)))
    except ValidationError as error:
        raise BadData(
            f"{store.url}/{spec_key(run)} is damaged or of another version of wmctl",
            hint=f"use that version, or remove the folder runs/{run} from the store",
        ) from error


def spec_key(run: str) -> str:
    """Key of a run's spec."""
    return f"runs/{run}/spec.json"


def _digest(plan: Plan, nodes: list[Node]) -> str:
    tree = [plan.model_dump(mode="json"), [node.model_dump(mode="json") for node in nodes]]
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _base32(hexadecimal: str) -> str:
    """Four letters and digits that are hard to misread."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    number = int(hexadecimal[:10], 16)
    return "".join(alphabet[(number >> (5 * i)) % 32] for i in range(4))
