"""``wmctl collect``: a run's results from the store into a folder of this machine.

The folder is a store itself, with the same keys, so that every command reads it offline; beside
them lie ``RUN.html`` and ``RUN.json``, the report for people and for machines.
"""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wm.artifacts.dataset import load_manifest
from wm.artifacts.model import load_card
from wm.errors import BadConfig
from wm.store import Store
from wm.store.directory import DirectoryStore
from wm.store.keys import RESERVED
from wmctl.report.collect import collect as read_report
from wmctl.report.page import publish
from wmctl.run.fold import read_state
from wmctl.run.history import History
from wmctl.run.spec import RunSpec, spec_key
from wmctl.transfer.fetch import Fetcher, Wanted, reporting
from wmctl.transfer.progress import Progress

LEFT_OUT = ("lease.json", "notified.json", "index.html")
"""Of a run's folder: who conducts it, how far its webhook is, and a page that is rendered here
anew."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a folder holds of a run now."""

    page: Path
    """``RUN.html``."""
    finished: bool
    """False while there may be more to come."""
    files: dict[str, int]
    """Kind (``logs``, ``models``) -> files."""
    bytes: dict[str, int]
    """Kind -> bytes."""
    fetched_files: int
    fetched_bytes: int
    """By this call; everything else was there already."""


def collect_run(
    store: Store,
    spec: RunSpec,
    folder: Path,
    progress: Progress,
    *,
    datasets: bool = False,
    checkpoints: bool = False,
) -> Collected:
    """Bring home what a run has made so far; what is there already is not fetched again.

    Every file is checked: against its manifest or card where there is one, else against what the
    store says of it. Raises BadData for what stays damaged, and StoreUnreachable where the store
    or the disk does not let us; the next call goes on from there.
    """
    folder = folder.expanduser().absolute()
    if store.url == str(folder):
        raise BadConfig(f"{folder} is the store itself", hint="choose a folder of its own")
    home = DirectoryStore(folder)
    with _alone(folder):
        fetcher = Fetcher(store, folder, progress)
        # First, for all that this history names is in the store already.
        history = [spec_key(spec.run), f"runs/{spec.run}/events.jsonl"]
        entries = [entry for key in history if (entry := store.head(key))]
        own = [Wanted(entry, "records") for entry in entries]
        fetcher.fetch(own)
        results = _results(home, spec)
        made = [
            *_run_files(store, spec.run, history, checkpoints),
            *_models(store, results),
            *_datasets(store, results, datasets),
        ]
        fetcher.fetch(made)
        page, finished = _write_report(home, spec)
    files, size = Counter[str](), Counter[str]()
    for item in own + made:
        files[item.kind] += 1
        size[item.kind] += item.entry.size
    return Collected(page, finished, files, size, fetcher.files, fetcher.bytes)


def _results(home: DirectoryStore, spec: RunSpec) -> list[dict[str, Any]]:
    state = read_state(spec, History(home, spec.run).events)
    return [state.nodes[node.name].result for node in spec.nodes]


def _run_files(store: Store, run: str, history: list[str], checkpoints: bool) -> Iterator[Wanted]:
    for entry in store.list(f"runs/{run}/"):
        parts = entry.key.split("/")[2:]
        kind = _kind(parts)
        known = entry.key in history or parts[0] in LEFT_OUT
        if not known and (checkpoints or kind != "checkpoints"):
            yield Wanted(entry, kind)


def _kind(parts: list[str]) -> str:
    """Of a file below ``runs/RUN/``."""
    if "checkpoints" in parts:
        return "checkpoints"
    if "log" in parts or parts[-1] == "log.txt":
        return "logs"
    if parts[-1] == "metrics.jsonl":
        return "metrics"
    if parts[-1] in ("spec.json", "outcome.json", "heartbeat.json") or len(parts) < 3:
        return "records"
    return "results"


def _models(store: Store, results: list[dict[str, Any]]) -> Iterator[Wanted]:
    for result in results:
        if "model" in result:
            weights = load_card(store, result["model"]).weights
            for entry in store.list(f"{result['model']}/"):
                vouched = weights.sha256 if entry.key == weights.key else None
                yield Wanted(entry, "models", vouched)


def _datasets(store: Store, results: list[dict[str, Any]], shards: bool) -> Iterator[Wanted]:
    """The manifests and what was rejected; ``shards`` too if they are wanted."""
    for key in dict.fromkeys(r["dataset"] for r in results if "dataset" in r):
        manifest = load_manifest(store, key)
        files = [manifest.rejects_file, *(manifest.shards() if shards else ())]
        vouched = {file.key: file.sha256 for file in files}
        for entry in store.list(f"{key}/"):
            if entry.key in vouched or entry.key == f"{key}/manifest.json":
                yield Wanted(entry, "data sets", vouched.get(entry.key))


def _write_report(home: DirectoryStore, spec: RunSpec) -> tuple[Path, bool]:
    report = read_report(home, spec)
    html = home.get(publish(home, report)).decode()
    page = home.root / f"{spec.run}.html"
    with reporting(page):
        page.write_text(html, encoding="utf-8")
        figures = json.dumps(report.as_json(), indent=1)
        page.with_suffix(".json").write_text(figures, encoding="utf-8")
    return page, report.state.finished is not None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One ``collect`` at a time writes into a folder."""
    own = folder / RESERVED
    with reporting(own):
        own.mkdir(parents=True, exist_ok=True)
        lock = (own / "collect.lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadConfig(
                f"another `wmctl collect` writes into {folder}", hint="wait until it has ended"
            ) from None
        yield
