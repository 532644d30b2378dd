from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from wm.errors import BadData
from wm.store import Store
from wm.store.lease import Lease, LeaseHeld, LeaseLost, Owner

KEY = "runs/demo/lease.json"


def elsewhere(pid: int = 7) -> Owner:
    """A process of another machine, of which nothing can be known from here."""
    return Owner(host="node-7", machine="another boot", pid=pid, started=1)


def test_one_holds_and_the_other_is_told_who_and_until_when(store: Store) -> None:
    lease = Lease.acquire(store, KEY, Owner.here(), ttl=60)
    with pytest.raises(LeaseHeld, match=f"process {os.getpid()} on .* holds it until 20"):
        Lease.acquire(store, KEY, elsewhere(), ttl=60)
    lease.renew()
    lease.release()
    Lease.acquire(store, KEY, elsewhere(), ttl=60)


def test_an_expired_lease_is_taken_over_and_its_holder_finds_out(store: Store) -> None:
    first = Lease.acquire(store, KEY, elsewhere(), ttl=0)
    second = Lease.acquire(store, KEY, Owner.here(), ttl=60)
    with pytest.raises(LeaseLost, match=f"process {os.getpid()}"):
        first.renew()
    first.release()
    second.renew()
    with pytest.raises(LeaseHeld):
        Lease.acquire(store, KEY, elsewhere(), ttl=60)


def test_a_lease_that_ran_out_unnoticed_is_renewed(store: Store) -> None:
    lease = Lease.acquire(store, KEY, elsewhere(), ttl=0)
    expired = lease.record.expires_at
    lease.renew()
    assert lease.record.expires_at > expired


def test_a_renewal_lasts(store: Store) -> None:
    lease = Lease.acquire(store, KEY, elsewhere(), ttl=0.5)
    for _ in range(3):
        time.sleep(0.25)
        lease.renew()
    with pytest.raises(LeaseHeld):
        Lease.acquire(store, KEY, Owner.here(), ttl=60)


def test_a_holder_whose_lease_was_removed_finds_out(store: Store) -> None:
    lease = Lease.acquire(store, KEY, elsewhere(), ttl=60)
    store.delete(KEY)
    with pytest.raises(LeaseLost):
        lease.renew()


def test_a_context_releases(store: Store) -> None:
    with Lease.acquire(store, KEY, elsewhere(), ttl=60), pytest.raises(LeaseHeld):
        Lease.acquire(store, KEY, elsewhere(8), ttl=60)
    Lease.acquire(store, KEY, elsewhere(8), ttl=60)


def test_one_of_many_takes_an_expired_lease(store: Store) -> None:
    Lease.acquire(store, KEY, elsewhere(), ttl=0)
    barrier, outcomes = threading.Barrier(4), []

    def run(pid: int) -> None:
        barrier.wait()
        try:
            outcomes.append(Lease.acquire(store, KEY, elsewhere(pid), ttl=60).record.owner.pid)
        except LeaseHeld:
            outcomes.append(None)

    threads = [threading.Thread(target=run, args=(pid,)) for pid in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert len([pid for pid in outcomes if pid]) == 1


def test_something_else_under_the_key(store: Store) -> None:
    store.put(KEY, b"{}")
    with pytest.raises(BadData, match="is not a lease"):
        Lease.acquire(store, KEY, Owner.here(), ttl=60)


HOLDER = """
import sys, time
from wm.store import open_store
from wm.store.lease import Lease, Owner
Lease.acquire(open_store(sys.argv[1]), sys.argv[2], Owner.here(), ttl=3600)
print("held", flush=True)
time.sleep(600)
"""


def test_the_lease_of_a_killed_process_is_free_at_once(store: Store) -> None:
    command = [sys.executable, "-c", HOLDER, store.url, KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LeaseHeld, match=f"process {holder.pid} "):
            Lease.acquire(store, KEY, Owner.here(), ttl=60)
        holder.send_signal(signal.SIGKILL)
        # Not yet waited for, so it is a zombie: dead all the same.
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        lease = Lease.acquire(store, KEY, Owner.here(), ttl=60)
    lease.renew()


def test_a_pid_that_came_again_is_another_process() -> None:
    here = Owner.here()
    assert not here.is_dead()
    assert here.model_copy(update={"started": here.started - 1}).is_dead()


def test_a_pid_of_another_machine_says_nothing() -> None:
    assert not elsewhere(pid=2**22 + 1).is_dead()
    assert Owner.here().model_copy(update={"pid": 2**22 + 1}).is_dead()
