"""A promoted candidate gets its alias."""

from __future__ import annotations

import contextlib

from wm.artifacts.model import read_aliases, set_alias
from wm.store import Conflict, Store
from wmctl.run.rules import Judge
from wmctl.run.spec import RunSpec


def promote(store: Store, spec: RunSpec, judged: Judge) -> None:
    """Move the verdict's alias to the candidate, if it has one and the candidate is promoted."""
    alias, judgement = spec.plan.verdicts[judged.name].alias, judged.judgement
    if not (alias and judgement and judgement.outcome == "promote" and judgement.model):
        return
    _, name, version = judgement.model.split("/")
    while True:
        aliases, tag = read_aliases(store, name)
        if aliases.get(alias) == version:
            return
        with contextlib.suppress(Conflict):  # somebody changed another alias meanwhile
            set_alias(store, name, alias, version, tag)
