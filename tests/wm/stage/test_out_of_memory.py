"""A child of a stage meets the limit of a real control group."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wm.stage import Outcome, StageSpec
from wm.stage.memory import group_paths
from wm.store import open_store

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "runs/r/s/01"
LIMIT = 200 << 20


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of 200 MiB below our own."""
    paths = [Path("/") / path for path in group_paths(Path("/proc/self/cgroup").read_text())]
    for own in filter(Path.is_dir, paths):
        group = own / f"wm-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (group / name).exists():
                (group / name).write_text(str(LIMIT))
                yield group
                group.rmdir()
                return
        group.rmdir()
    pytest.skip("no control group of memory can be made here")


def test_a_child_that_the_kernel_killed_is_named_whatever_the_stage_says(
    group: Path, tmp_path: Path
) -> None:
    act = {"act": "lose a child to memory"}
    spec = StageSpec(run="r", stage="s", attempt=1, kind="encode", config=act)
    open_store(str(tmp_path)).put(f"{PREFIX}/spec.json", spec.model_dump_json().encode())
    stage = [sys.executable, "-m", "tests.support.acting_stage"]
    enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
    command = ["sh", "-c", enter, "sh", *stage, "--spec", f"{tmp_path}/{PREFIX}/spec.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 137, done.stdout + done.stderr
    left = Outcome.model_validate_json((tmp_path / PREFIX / "outcome.json").read_text())
    assert (left.code, left.reason) == (137, "OOMKilled")
    assert left.message == (
        "out of memory: a process was killed at the container's limit of 0.2 GB"
    )
    assert left.hint == "raise resources.memory, or lower workers or shard_mb"
    assert "error: a child ended with -9" in done.stdout, "what the stage made of it is told, too"
