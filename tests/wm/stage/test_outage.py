"""A whole stage whose store goes away and comes back."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.faults import Fault, faulty_proxy
from tests.support.s3 import S3Server
from wm.stage import Heartbeat, Outcome, StageSpec
from wm.stage.chunks import read_log
from wm.store import open_store

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "runs/r/s/01"


def test_an_outage_costs_a_stage_nothing_but_time(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3_url)
    spec = StageSpec(run="r", stage="s", attempt=1, kind="encode", config={"act": "wait"})
    store.put(f"{PREFIX}/spec.json", spec.model_dump_json().encode())
    monkeypatch.setenv("WM_STORE_PATIENCE", "60")
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        module, address = "tests.support.acting_stage", f"{s3_url}/{PREFIX}/spec.json"
        stage = subprocess.Popen(
            [sys.executable, "-m", module, "--spec", address],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert stage.stdout
        said = stage.stdout.readline()
        proxy.fail(Fault.INTERNAL, times=1_000_000)
        time.sleep(5)  # more than one heartbeat
        stage.terminate()
        while "store away" not in said:
            said += (line := stage.stdout.readline())
            assert line, said
        proxy.heal()
        said += stage.communicate(timeout=60)[0]
    assert stage.returncode == 143
    assert Outcome.model_validate_json(store.get(f"{PREFIX}/outcome.json")).code == 143
    assert said.count("no heartbeat can be written now") == 1
    assert said.count("store away: the store answered InternalError") == 1
    assert "trying for 60 s" in said
    assert said.count("the store is back after ") == 1
    assert read_log(store, PREFIX).decode() == said
    beat = Heartbeat.model_validate_json(store.get(f"{PREFIX}/heartbeat.json"))
    assert beat.unit == "waits"
