"""Sends what people are told, in order, from a thread that the run never waits for.

Each message arrives at least once, whatever becomes of the conductor: ``runs/<run>/notified.json``
says how much of the history has been seen to, and a conductor that follows one that died sends the
rest. A webhook that is away costs a line in the log for each message, and no more.
"""

from __future__ import annotations

import json
import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from wm.errors import StoreUnreachable, WmError
from wm.store import NotFound, Store
from wmctl.notify.messages import LINKED, is_told, message
from wmctl.notify.webhook import Answer, Webhook
from wmctl.run.history import Event, History
from wmctl.run.spec import RunSpec

QUEUE = 256
"""Messages that may wait; the oldest gives way to a newer one."""
TRIES = 10
"""Tries of one message, over about five minutes."""
TIMEOUT = 10.0
"""Seconds that one try may take."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries, at most."""
LONGEST_WISH = 120.0
"""Seconds of a ``Retry-After`` that are believed."""
OLD = 3600.0
"""Seconds after which an event is no news."""
LINGER = 5.0
"""Seconds that the last messages are tried for at the end."""

Link = str | Callable[[], str | None]
"""Address of the run's page, or what makes one: a signed link is best made when it is sent."""
Sleep = Callable[[threading.Event, float], object]
"""Waits for an event, for so many seconds at most."""

logger = logging.getLogger("wm.notify")


class Notifier:
    """Between ``with`` and its end, tells people what the conductor tells it.

    There is one for a run at a time, as there is one conductor: make it under the run's lease and
    before the conductor's first event.
    """

    def __init__(
        self,
        store: Store,
        spec: RunSpec,
        hook: Webhook,
        link: Link = "",
        *,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = threading.Event.wait,
    ) -> None:
        """``store`` should have little patience; ``clock`` is that of the events."""
        self._store, self._run, self._hook, self._link = store, spec.run, hook, link
        self._clock, self._sleep = clock, sleep
        self._mark = f"runs/{spec.run}/notified.json"
        self._queue: deque[tuple[int, Event]] = deque(maxlen=QUEUE)
        self._changed = threading.Condition()
        self._told = 0
        """Events that the conductor has told so far, those included that people are not told."""
        self._first: Event | None = None
        self._marking = False
        """Whether it is known which place in the history the events have."""
        self._refused = self._late = False
        self._deadline = math.inf
        self._closing, self._gone = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="wm-notify", daemon=True)

    def __enter__(self) -> Notifier:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def tell(self, event: Event) -> None:
        """Queue what people are told of this event. Returns at once; called by one thread."""
        self._first = self._first or event
        self._told += 1
        if not is_told(event):
            return
        with self._changed:
            full = len(self._queue) == QUEUE
            self._queue.append((self._told, event))
            self._changed.notify()
        if full:
            logger.info("webhook %s: a message gave way to a newer one", self._hook.where)

    def close(self, timeout: float = LINGER) -> None:
        """Send what is left, for at most ``timeout`` seconds."""
        if self._closing.is_set():
            return
        self._deadline = time.monotonic() + timeout
        with self._changed:
            self._closing.set()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._thread.is_alive() or self._late:
            logger.info("webhook %s: the last messages were not sent in time", self._hook.where)
        self._gone.set()

    def _work(self) -> None:
        earlier, done = self._catch_up()
        for place, event in enumerate(earlier[done:], done + 1):
            self._deliver(place, event)
        while (waiting := self._next()) is not None:
            told, event = waiting
            place = self._before(earlier) + told
            if place > len(earlier):
                self._deliver(place, event)
        self._hook.close()

    def _catch_up(self) -> tuple[list[Event], int]:
        """The history as it is now, and how many of its events an earlier conductor saw to."""
        while True:
            try:
                events = History(self._store, self._run).events
                done = self._count()
            except WmError as error:
                # A store that is away is so for the conductor too: nothing happens meanwhile.
                if isinstance(error, StoreUnreachable) and not self._closing.is_set():
                    self._pause(FIRST_PAUSE)
                    continue
                logger.info("what people were told earlier is not known: %s", error.message)
                return [], 0
            self._marking = True
            return events, done

    def _count(self) -> int:
        try:
            return max(0, int(json.loads(self._store.get(self._mark))["count"]))
        except (NotFound, ValueError, TypeError, KeyError):
            return 0

    def _before(self, earlier: list[Event]) -> int:
        """How many events the history had before the first that this conductor wrote."""
        first = self._first
        for place, event in enumerate(earlier):
            if first is not None and (event.time, event.event) == (first.time, first.event):
                return place
        return len(earlier)

    def _next(self) -> tuple[int, Event] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing.is_set())
            return self._queue.popleft() if self._queue else None

    def _deliver(self, place: int, event: Event) -> None:
        """Send the message of the event at that place in the history, the first being 1."""
        if not is_told(event) or self._clock() - event.time > OLD:
            return
        try:
            link = self._address() if event.event in LINKED else ""
            arrived = self._send(event, message(event, self._run), link)
        except Exception as error:  # noqa: BLE001  the others can be sent all the same
            # Only its name: what an error says may hold the address.
            logger.error("webhook %s: no message: %s", self._hook.where, type(error).__name__)
            return
        if arrived:
            self._remember(place)

    def _address(self) -> str:
        try:
            return (self._link if isinstance(self._link, str) else self._link()) or ""
        except WmError as error:
            logger.info("there is no link to the page of %s: %s", self._run, error.message)
            return ""

    def _send(self, event: Event, text: str, link: str) -> bool:
        """Whether it arrived; tried until it does, is refused, or time or patience is used up."""
        answer = Answer()
        for failures in range(1, TRIES + 1):
            left = self._deadline - time.monotonic()
            if left <= 0:
                self._late = True
                return False
            answer = self._hook.send(text, link, min(TIMEOUT, left))
            if answer.ok:
                return True
            if not answer.again:
                # The next may be taken; but that none is, is worth one warning only.
                level = logging.INFO if self._refused else logging.WARNING
                self._refused = True
                self._give_up(level, event, answer.why)
                return False
            if failures < TRIES:
                longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
                wish = min(LONGEST_WISH, answer.after)
                self._pause(max(wish, random.uniform(longest / 2, longest)))
        self._give_up(logging.INFO, event, answer.why)
        return False

    def _give_up(self, level: int, event: Event, why: str) -> None:
        what = " ".join(filter(None, (event.event, event.stage, event.name)))
        logger.log(level, "webhook %s: gave up on %r: %s", self._hook.where, what, why)

    def _pause(self, seconds: float) -> None:
        """Wait; at the end of the run less than asked for, so that what waits is tried again."""
        bell = self._closing
        if bell.is_set():
            bell, left = self._gone, self._deadline - time.monotonic()
            seconds = min(seconds, max(0.0, left) / 2)
        self._sleep(bell, seconds)

    def _remember(self, place: int) -> None:
        if not self._marking:
            return
        try:
            self._store.put(self._mark, json.dumps({"count": place}).encode())
        except WmError as error:
            logger.info("what people were told is not written down: %s", error.message)
