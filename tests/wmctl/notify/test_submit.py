"""A whole run tells a webhook how it goes, with real processes; and a dead one costs nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.support.tiny import run, submit_command
from tests.wmctl.notify.conftest import SECRET, Site

ONE_GAME = ("--only", "encode-melee")


def test_a_submission_tells_its_start_and_its_end(site: Site, tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = run([*submit_command(store), *ONE_GAME], WM_WEBHOOK_URL=site.url)
    assert done.returncode == 0, done.stderr
    first, last = (json.loads(body)["text"] for body in site.wait(2))
    assert "run submitted" in first
    assert "run finished: every stage has ended" in last
    assert "index.html" in last, "with the way to the page"
    assert SECRET not in done.stdout + done.stderr
    kept = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in data for data in kept), "nor in anything that is stored"


def test_a_webhook_that_hangs_holds_nothing_up(site: Site, tmp_path: Path) -> None:
    site.always = "hang"
    began = time.monotonic()
    done = run([*submit_command(tmp_path / "store"), *ONE_GAME], WM_WEBHOOK_URL=site.url)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
