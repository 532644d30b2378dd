"""``runs/<run>/spec.json``: what a run will do, resolved once at submission."""

from __future__ import annotations

import hashlib
import json
import time
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData
from wm.store import ABSENT, Conflict, NotFound, Store
from wmctl.plan.graph import Node
from wmctl.plan.model import Plan


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
        return next(node for node in self.nodes if node.name == name)


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
