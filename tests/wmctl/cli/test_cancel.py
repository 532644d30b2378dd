from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.cli import wmctl
from tests.support.runs import small_run
from wm.store import Store, open_store
from wm.store.lease import Lease, Owner
from wmctl.cli import cancel
from wmctl.run.cancel import wanted
from wmctl.run.history import History
from wmctl.run.spec import spec_key


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = open_store(str(tmp_path))
    made.put(spec_key("r"), small_run().model_dump_json().encode())
    return made


def test_a_run_that_nobody_is_at_work_on_ends_at_once(store: Store, tmp_path: Path) -> None:
    History(store, "r").append("submitted")
    done = wmctl(tmp_path, "cancel", "r")
    assert (done.code, done.out) == (0, "r is cancelled; nobody was at work on it\n")
    assert [e.event for e in History(store, "r").events] == ["submitted", "cancelled", "finished"]
    assert wmctl(tmp_path, "cancel", "r").out == "r has ended already\n"


def test_a_conductor_at_work_is_asked_and_waited_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "WAIT", 0.2)
    History(store, "r").append("submitted")
    began = time.time()
    with Lease.acquire(store, "runs/r/lease.json", Owner.here(), 60):
        done = wmctl(tmp_path, "cancel", "r")
    assert done.code != 0
    assert "has not ended within" in done.err
    wish = wanted(store, "r", began)
    assert wish
    assert "@" in wish.by


def test_a_wish_from_before_the_newest_submission_counts_no_more(store: Store) -> None:
    cancel.ask_to_cancel(store, "r")
    assert wanted(store, "r", time.time() + 1) is None


def test_stages_under_way_are_left_to_a_conductor(store: Store, tmp_path: Path) -> None:
    history = History(store, "r")
    history.append("submitted")
    history.append("started", stage="enc", attempt=1)
    done = wmctl(tmp_path, "cancel", "r", "--no-wait")
    assert done.out == "r is asked to end\n"
    assert History(store, "r").events[-1].event == "started"
