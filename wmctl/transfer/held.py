"""A lease that is kept up from a thread while long work goes on."""

from __future__ import annotations

import threading
from types import TracebackType

from wm.errors import StoreUnreachable, WmError
from wm.store import Store
from wm.store.lease import Lease, Owner

TTL = 60.0
"""Seconds that others wait for when this machine dies; a dead process here is seen at once."""


class Held:
    """Between ``with`` and its end, ``key`` is this process's; raises ``LeaseHeld`` if it is not.

    :meth:`check` raises ``LeaseLost`` once it was lost, as it may be while a laptop sleeps.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._ended = threading.Event()
        self._lost: WmError | None = None

    def check(self) -> None:
        """Raise if somebody else has it now."""
        if self._lost:
            raise self._lost

    def __enter__(self) -> Held:
        self._lease = Lease.acquire(self._store, self._key, Owner.here(), TTL)
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._lease.release()
        except StoreUnreachable:
            if error is None:
                raise

    def _keep(self) -> None:
        while not self._ended.wait(TTL / 3):
            try:
                self._lease.renew()
            except StoreUnreachable:
                continue  # The work's own requests say so, and wait for it or fail.
            except WmError as error:
                self._lost = error
                return
