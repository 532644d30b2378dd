"""What the cluster has of some kinds of objects, kept up to date in the background.

A thread per kind lists, then watches; whatever goes wrong, it waits a little and lists again. So an
API server that is away costs nothing but time, and whoever asks is never kept waiting.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from wm.errors import WmError
from wmctl.launch.kubernetes.api import Api, Body
from wmctl.launch.kubernetes.errors import ApiTrouble, Gone
from wmctl.launch.kubernetes.kinds import Kind

WATCH = 20.0
"""Seconds that one watch lasts. It is short because a stream that is silent looks the same whether
nothing happens or the server is away: this bounds how long that can go unnoticed."""
BACK_OFF = (0.5, 10.0)
"""Seconds before the first new try after trouble, and at most before each later one."""
LENIENT = 5.0
"""Seconds of failed tries that are not worth a word: a proxy cut a stream, a token rotated."""


@dataclass(slots=True)
class _Shelf:
    """What is known of one kind."""

    kind: Kind
    objects: dict[str, Body] = field(default_factory=dict)
    """By name."""
    gone: list[Body] = field(default_factory=list)
    """Objects that were deleted, as they were last."""
    version: str = ""
    """Where to watch from; empty: list first."""
    contact: float = 0
    """Monotonic time at which the server last answered."""
    listed: bool = False
    error: WmError | None = None
    """Why the newest try failed; None when it did not."""
    failing: float = 0
    """Monotonic time since which every try failed."""


class Mirror:
    """Objects of one namespace that a label selector chooses."""

    def __init__(
        self,
        api: Api,
        kinds: Sequence[Kind],
        labels: str,
        *,
        watch: float = WATCH,
        back_off: tuple[float, float] = BACK_OFF,
        lenient: float = LENIENT,
    ) -> None:
        """Begins in the background; see :meth:`wait` for a first answer."""
        self._api, self._labels = api, labels
        self._watch, self._back_off, self._lenient = watch, back_off, lenient
        self._trouble = ""
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._changed = threading.Condition(self._lock)
        now = time.monotonic()
        self._shelves = {kind: _Shelf(kind, contact=now) for kind in kinds}
        for shelf in self._shelves.values():
            name = f"mirror-{shelf.kind.plural}"
            threading.Thread(target=self._keep, args=(shelf,), name=name, daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Until everything has been listed once.

        Raises the error of a kind that cannot be listed: at once if it is one that will not pass,
        else after ``seconds``.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while missing := [s for s in self._shelves.values() if not s.listed]:
                errors = [s.error for s in missing if s.error]
                late = time.monotonic() >= end
                for error in errors:
                    if late or not isinstance(error, ApiTrouble):
                        raise error
                if late:
                    raise ApiTrouble("the API server takes too long to list what is there")
                self._changed.wait(max(0.01, end - time.monotonic()))

    def objects(self, kind: Kind) -> list[Body]:
        """What was there when the server last answered, in order of names. Do not change it."""
        with self._lock:
            objects = self._shelves[kind].objects
            return [objects[name] for name in sorted(objects)]

    def gone(self, kind: Kind) -> list[Body]:
        """What was deleted since the mirror began, as it was last: a pod that somebody deletes
        takes its exit code and the reason with it. Do not change it."""
        with self._lock:
            return list(self._shelves[kind].gone)

    def trouble(self) -> str:
        """What is wrong with the connection, or nothing.

        The sentence stays the same for as long as the trouble lasts, so that whoever writes it
        down can do so once.
        """
        with self._lock:
            now = time.monotonic()
            bad = [s for s in self._shelves.values() if self._counts(s, now)]
            if not bad:
                self._trouble = ""
            elif not self._trouble:
                first = min(bad, key=lambda s: s.contact)
                since = time.gmtime(time.time() - (now - first.contact))
                why = first.error.message if first.error else ""
                self._trouble = f"no news since {time.strftime('%H:%M:%S', since)} UTC: {why}"
            return self._trouble

    def close(self) -> None:
        """End the threads; they may take until the end of their watch, which nobody waits for."""
        self._closed.set()

    def _keep(self, shelf: _Shelf) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                self._follow(shelf)
                failures = 0
            except Gone:
                shelf.version = ""
            except WmError as error:
                # Listing anew also serves where only the watch is in trouble.
                shelf.version = ""
                failures += 1
                self._fail(shelf, error)
                self._closed.wait(self._delay(failures))

    def _follow(self, shelf: _Shelf) -> None:
        """List if need be, then watch until the stream ends."""
        if not shelf.version:
            self._list(shelf)
        for event in self._api.watch(shelf.kind, self._labels, shelf.version, self._watch):
            self._change(shelf, event["type"], event["object"])
            if self._closed.is_set():
                return
        with self._lock:
            _answered(shelf)  # with silence, which is all there was to tell

    def _list(self, shelf: _Shelf) -> None:
        items, version = self._api.list(shelf.kind, self._labels)
        with self._changed:
            known, shelf.objects = shelf.objects, {i["metadata"]["name"]: i for i in items}
            there = {item["metadata"]["uid"] for item in items}
            shelf.gone += [o for o in known.values() if o["metadata"]["uid"] not in there]
            shelf.version, shelf.listed = version, True
            _answered(shelf)
            self._changed.notify_all()

    def _change(self, shelf: _Shelf, what: str, body: Body) -> None:
        with self._lock:
            if what == "DELETED":
                shelf.objects.pop(body["metadata"]["name"], None)
                shelf.gone.append(body)
            elif what != "BOOKMARK":
                shelf.objects[body["metadata"]["name"]] = body
            shelf.version = body["metadata"]["resourceVersion"]
            _answered(shelf)

    def _fail(self, shelf: _Shelf, error: WmError) -> None:
        with self._changed:
            shelf.failing = shelf.failing if shelf.error else time.monotonic()
            shelf.error = error
            self._changed.notify_all()

    def _counts(self, shelf: _Shelf, now: float) -> bool:
        """Whether the failure of a kind is worth a word by now."""
        if shelf.error is None:
            return False
        return not isinstance(shelf.error, ApiTrouble) or now - shelf.failing >= self._lenient

    def _delay(self, failures: int) -> float:
        first, most = self._back_off
        return random.uniform(0.5, 1) * float(min(most, first * 2 ** min(failures - 1, 10)))


def _answered(shelf: _Shelf) -> None:
    shelf.contact, shelf.error = time.monotonic(), None
