"""This machine: packages, processors, free space, and whom its environment would have told."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wmctl.doctor.check import Check, Trouble
from wmctl.launch.local import cpu_count
from wmctl.notify.environment import webhook_from_environment

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


def checks() -> list[Check]:
    """What stages need that run here."""
    needs: list[Check] = [
        (stage, lambda packages=packages: _packages(packages))  # type: ignore[misc]
        for stage, packages in PACKAGES.items()
    ]
    return [*needs, ("machine", _machine), ("scratch", free_scratch), ("webhook", _webhook)]


def free_scratch() -> str:
    """Free space where temporary files go."""
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_FREE:
        raise Trouble(f"only {free / 1e9:.1f} GB free in {folder}; make room or set TMPDIR")
    return f"{free / 1e9:.1f} GB free in {folder}"


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


def _webhook() -> str:
    """Whether the variables make a webhook. Nothing is sent: people should not be bothered."""
    hook = webhook_from_environment()
    if hook is None:
        return "none, so nobody is told how runs go"
    hook.close()
    return f"people are told at {hook.where}, as {hook.form}; nothing was sent"


def _gpus() -> str:
    # Asked without torch: importing it takes seconds.
    count = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return f"{count} GPUs" if count else "no GPU"
