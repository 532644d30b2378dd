"""One writer at a time: a lease object taken by conditional writes, with an expiry.

Clocks of machines that share a lease must agree to well within its time to live. A holder renews
at a third of that time; one that did not in time may find at its next renewal that it lost.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData, Exit, WmError
from wm.store.base import ABSENT, Conflict, NotFound, Store, Tag


class LeaseHeld(WmError):
    """Another owner holds the lease."""

    code = Exit.BAD_CONFIG


class LeaseLost(LeaseHeld):
    """This owner's lease ran out and was taken over."""


class Owner(BaseModel):
    """A process, so exactly that another on the same machine can tell whether it is dead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    """Name of the machine or pod, for people."""
    machine: str
    """Boot id and PID namespace, within which ``pid`` means something; empty where unknown."""
    pid: int
    started: int
    """Start of the process in clock ticks since boot: a pid comes again, the pair does not."""

    @classmethod
    def here(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(host=socket.gethostname(), machine=_machine(), pid=pid, started=_started(pid))

    def is_dead(self) -> bool:
        """Whether the process has surely ended; False where that cannot be known from here."""
        if not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # Another user's, whose start /proc may hide.
            return False
        return _started(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class LeaseRecord(BaseModel):
    """What the lease object says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: Owner
    token: str
    """Drawn anew by each acquisition."""
    expires_at: float
    """Seconds since the epoch; 0 once released."""

    def is_free(self, now: float) -> bool:
        """Whether anybody may take it: released, expired, or held by a dead process."""
        return self.expires_at <= now or self.owner.is_dead()


class Lease:
    """The right to write, while it lasts. As a context it is released at the end."""

    def __init__(self, store: Store, key: str, record: LeaseRecord, ttl: float, tag: Tag) -> None:
        self.key = key
        self.record = record
        self._store = store
        self._ttl = ttl
        self._tag = tag

    @classmethod
    def acquire(cls, store: Store, key: str, owner: Owner, ttl: float) -> Lease:
        """Take the lease ``key`` for ``ttl`` seconds, or raise :class:`LeaseHeld`.

        An expired lease, and one whose owner is a dead process of this machine, is taken over.
        """
        record, tag = _read(store, key)
        if record and not record.is_free(time.time()):
            raise _held(key, record)
        mine = _record(owner, secrets.token_hex(16), ttl)
        try:
            return cls(store, key, mine, ttl, _write(store, key, mine, tag))
        except Conflict:
            winner, _ = _read(store, key)
            raise _held(key, winner) from None

    def renew(self) -> None:
        """Hold it for another ``ttl`` seconds, or raise :class:`LeaseLost` if it was taken."""
        renewed = _record(self.record.owner, self.record.token, self._ttl)
        try:
            self._tag = _write(self._store, self.key, renewed, self._tag)
        except Conflict:
            record, _ = _read(self._store, self.key)
            raise LeaseLost(
                f"the lease {self.key} was lost: {_holder(record)}",
                hint="this process must stop writing; the other goes on with the work",
            ) from None
        self.record = renewed

    def release(self) -> None:
        """Let anybody take it at once; nothing happens if it was lost."""
        released = self.record.model_copy(update={"expires_at": 0.0})
        try:
            self._tag = _write(self._store, self.key, released, self._tag)
        except Conflict:
            return

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def read_lease(store: Store, key: str) -> LeaseRecord | None:
    """Who holds the lease, or held it last; None before anybody did."""
    record, _ = _read(store, key)
    return record


def _record(owner: Owner, token: str, ttl: float) -> LeaseRecord:
    return LeaseRecord(owner=owner, token=token, expires_at=time.time() + ttl)


def _read(store: Store, key: str) -> tuple[LeaseRecord | None, Tag | None]:
    try:
        data, tag = store.get_tagged(key)
    except NotFound:
        return None, None
    try:
        return LeaseRecord.model_validate_json(data), tag
    except ValidationError:
        raise BadData(
            f"{key} is not a lease", hint="remove that object if no process uses it"
        ) from None


def _write(store: Store, key: str, record: LeaseRecord, tag: Tag | None) -> Tag:
    return store.put(key, record.model_dump_json().encode(), only_if=tag or ABSENT)


def _held(key: str, record: LeaseRecord | None) -> LeaseHeld:
    return LeaseHeld(
        f"the lease {key} is taken: {_holder(record)}",
        hint="wait until it ends, or stop that process",
    )


def _holder(record: LeaseRecord | None) -> str:
    if record is None or not record.expires_at:
        return "another process had it meanwhile"
    until = datetime.fromtimestamp(record.expires_at).astimezone()
    return f"{record.owner} holds it until {until:%Y-%m-%d %H:%M:%S %z}"


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # Not Linux: no owner is ever taken for dead before its lease expires.
        return ""


def _started(pid: int) -> int:
    """Start of a process in clock ticks since boot (proc(5), field 22); 0 if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    after_name = stat.rpartition(")")[2].split()
    return 0 if after_name[0] in "ZX" else int(after_name[19])
