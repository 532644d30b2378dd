"""``wmctl doctor``: check now what would fail later."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from wm.errors import Exit, WmError
from wm.store import ABSENT, Conflict, Store, open_store
from wmctl.launch.local import cpu_count

PACKAGES = {
    "encoder": (
        "zstandard",
        "py7zr",
        "peppi-py-vladfi",
        "pyarrow",
        "rust-pgn-reader-python-binding",
    ),
    "trainer": ("torch", "safetensors"),
    "evaluator": ("torch", "safetensors", "chess"),
}
"""Stage -> distributions that it needs beside the conductor's."""

ENOUGH_FREE = 2e9
"""Bytes of free space below which a local run may not end."""


class Trouble(Exception):
    """A check that did not pass: what is wrong and the way out."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(store: str, as_json: bool) -> int:
    """Check the store, the packages and this machine; exit 0 only if a run can succeed."""
    rows = []
    for name, check in _checks(store):
        try:
            passed, text = True, check()
        except Trouble as error:
            passed, text = False, str(error)
        except WmError as error:
            passed, text = False, "; ".join(filter(None, (error.message, error.hint)))
        rows.append({"check": name, "passed": passed, "text": text})
        if not as_json:
            click.secho("✓ " if passed else "✗ ", fg="green" if passed else "red", nl=False)
            click.echo(f"{name}: {text}")
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    return Exit.OK if all(row["passed"] for row in rows) else Exit.BAD_CONFIG


def _checks(store: str) -> Iterator[tuple[str, Callable[[], str]]]:
    for stage, packages in PACKAGES.items():
        yield stage, lambda packages=packages: _packages(packages)  # type: ignore[misc]
    yield "machine", _machine
    yield "scratch", lambda: _free(Path(tempfile.gettempdir()))
    yield "store", lambda: _store(open_store(store))


def _packages(packages: tuple[str, ...]) -> str:
    found, missing = [], []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise Trouble(f"{', '.join(missing)} not installed; run make demo or install wmctl[all]")
    return ", ".join(found)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{cpu_count()} cores, {memory:.1f} GB of memory, {_gpus()}"


def _gpus() -> str:
    # Asked without torch: importing it takes seconds.
    count = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return f"{count} GPUs" if count else "no GPU"


def _free(folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_FREE:
        raise Trouble(f"only {free / 1e9:.1f} GB free in {folder}; make room or set TMPDIR")
    return f"{free / 1e9:.1f} GB free in {folder}"


def _store(store: Store) -> str:
    """Write, read, list, refuse a second writer, delete: what a run will need."""
    key = f"doctor/{secrets.token_hex(8)}"
    before = time.time()
    store.put(key, b"hello", only_if=ABSENT)
    try:
        try:
            store.put(key, b"twice", only_if=ABSENT)
        except Conflict:
            pass
        else:
            raise Trouble(f"{store.url} does not keep conditional writes; runs would not be safe")
        entry = next(iter(store.list(key)), None)
        if store.get(key) != b"hello" or entry is None:
            raise Trouble(f"{store.url} does not give back what was written")
    finally:
        store.delete(key)
    skew = entry.modified - before
    if abs(skew) > 60:
        raise Trouble(f"the clock of {store.url} is off by {skew:.0f} s; leases would not hold")
    return f"{store.url} can be read and written, conditionally too"
