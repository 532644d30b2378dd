from __future__ import annotations

import time
from pathlib import Path

import pytest

from wm.store import open_store
from wm.store.lease import Lease, LeaseHeld, LeaseLost, Owner
from wmctl.transfer import held
from wmctl.transfer.held import Held

ELSEWHERE = Owner(host="other", machine="", pid=1, started=1)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "TTL", 0.6)


def test_it_is_kept_up_while_work_goes_on(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with Held(store, "lease.json") as mine:
        time.sleep(1.5)
        with pytest.raises(LeaseHeld):
            Lease.acquire(store, "lease.json", ELSEWHERE, 1)
        mine.check()
    Lease.acquire(store, "lease.json", ELSEWHERE, 1)


def test_one_that_was_taken_over_is_told(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    with Held(store, "lease.json") as mine:
        store.delete("lease.json")  # as if it had run out while this machine slept
        Lease.acquire(store, "lease.json", ELSEWHERE, 60)
        time.sleep(0.6)
        with pytest.raises(LeaseLost, match="process 1 on other holds it"):
            mine.check()
    with pytest.raises(LeaseHeld, match="process 1 on other"):
        Lease.acquire(store, "lease.json", Owner.here(), 1)
