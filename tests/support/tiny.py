"""The demo plan at a size that walks the whole way in seconds, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TINY = {
    "data.chess.source": "made:40?seed=1",
    "data.melee.source": "made:10?seed=1",
    "stages.encode-chess.split": "{val: 0.2, test: 0.1}",
    "stages.encode-melee.split": "{val: 0.2, test: 0.2}",
    "stages.arena-chess.pairs": "4",
    "stages.arena-chess.max_plies": "40",
    "stages.arena-chess.bootstrap": "100",
    "stages.arena-melee.starts_per_game": "2",
    "stages.arena-melee.bootstrap": "100",
    "stages.arena-melee.horizons": "[1, 5, 10]",
    "stages.train-chess.model.hidden": "16",
    "stages.train-mlp.model.hidden": "16",
    "stages.train-mamba2.model.d_model": "16",
    "gates": "[]",
}
for _stage in ("train-chess", "train-mlp", "train-mamba2"):
    TINY |= {
        f"stages.{_stage}.steps": "12",
        f"stages.{_stage}.batch": "4",
        f"stages.{_stage}.warmup": "0.1",
        f"stages.{_stage}.validate_every": "6",
        f"stages.{_stage}.checkpoint_every": "3",
        f"stages.{_stage}.log_every": "2",
    }


def wmctl(store: Path | str, *words: str) -> list[str]:
    """The command line of ``wmctl`` in this interpreter."""
    return [
        sys.executable,
        "-c",
        "from wmctl.cli import main; main()",
        "--store",
        str(store),
        *words,
    ]


def submit_command(store: Path) -> list[str]:
    """The command line that submits the tiny plan."""
    sets = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    return wmctl(store, "submit", "demo", *sets)


def run(
    command: list[str], *, timeout: float = 170, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep what it printed."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=os.environ | environment
    )
