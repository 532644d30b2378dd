"""A stage as what it is in production: processes of its own, and an outcome in the store."""

from __future__ import annotations

import os
import subprocess
import sys

from pydantic import BaseModel

from wm.stage import Outcome, StageSpec
from wm.stage.parent import PARENT
from wm.stage.spec import Kind
from wm.store import Store
from wmctl.launch.local import MODULES


def begin(
    store: Store, run: str, kind: Kind, config: BaseModel
) -> tuple[StageSpec, subprocess.Popen[bytes]]:
    """Start the first attempt of a stage of that kind; its log goes to the store alone."""
    resolved = config.model_dump(mode="json")
    spec = StageSpec(run=run, stage=kind, attempt=1, kind=kind, config=resolved)
    store.put(f"{spec.prefix}/spec.json", spec.model_dump_json().encode())
    command = [sys.executable, "-m", MODULES[kind]]
    command += ["--spec", f"{store.url}/{spec.prefix}/spec.json"]
    environment = os.environ | {PARENT: str(os.getpid())}  # it ends with the benchmark
    return spec, subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)


def outcome(store: Store, spec: StageSpec, process: subprocess.Popen[bytes]) -> Outcome:
    """How it ended; a failure ends the benchmark."""
    failed = process.wait() != 0
    found = store.get(f"{spec.prefix}/outcome.json")
    if failed:
        sys.exit(found.decode())
    return Outcome.model_validate_json(found)


def run_stage(store: Store, run: str, kind: Kind, config: BaseModel) -> Outcome:
    """Start a stage and wait for it."""
    return outcome(store, *begin(store, run, kind, config))
