"""Finding runs in a store."""

from __future__ import annotations

from wm.errors import InputMissing
from wm.store import NotFound, Store
from wmctl.plan.words import did_you_mean
from wmctl.run.spec import RunSpec, read_spec


def list_runs(store: Store) -> list[RunSpec]:
    """Every run in the store, the newest first."""
    names = [e.key.split("/")[1] for e in store.list("runs/") if _is_run_spec(e.key)]
    return sorted((read_spec(store, n) for n in names), key=lambda s: s.created, reverse=True)


def find_run(store: Store, name: str | None) -> RunSpec:
    """The run of that name or beginning of a name; without one, the newest run."""
    if name:
        try:
            return read_spec(store, name)
        except NotFound:
            pass
    runs = list_runs(store)
    if not runs:
        raise InputMissing(f"there are no runs in {store.url}", hint="start one: wmctl submit demo")
    matching = [spec for spec in runs if spec.run.startswith(name or "")]
    if not matching:
        known = [spec.run for spec in runs]
        raise InputMissing(
            f"there is no run {name!r} in {store.url}{did_you_mean(name or '', known)}",
            hint="wmctl runs lists them",
        )
    return matching[0]


def _is_run_spec(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 3 and parts[2] == "spec.json"
