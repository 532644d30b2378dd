"""How long trouble with an S3 store is waited out, by time and not by number of tries.

botocore gives up after so many tries, or when a quota of its own is used up; a stage that has
worked for hours should outlast a store that is away for minutes. What waiting cannot mend (no
rights, no such bucket, a name that never resolved) ends at once.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from wm.errors import BadConfig
from wm.store.s3_errors import describe, error_code, is_unknown_name, is_untrusted

logger = logging.getLogger("wm.store")

PATIENCE = "WM_STORE_PATIENCE"
"""Environment variable: seconds that store trouble is waited out; a cluster sets more."""
DEFAULT_PATIENCE = 20.0
LONGEST_PAUSE = 10.0
"""Seconds between two tries, at most."""
SAY_AFTER = 3.0
"""Seconds of trouble that are not worth a line in the log."""

_PASSING = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestThrottled"}


class Patience:
    """Decides for one client whether a failed request is sent again, and after what pause."""

    def __init__(self, seconds: float, bucket: str) -> None:
        self.seconds = seconds
        self._bucket = bucket
        self._heard = False  # the address has answered before
        self._failing: float | None = None  # monotonic time since which nothing succeeds
        self._told = False
        self._lock = threading.Lock()

    def needs_retry(
        self,
        *,
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        operation: Any,
        attempts: int,
        request_dict: dict[str, Any],
        **_: object,
    ) -> float | None:
        """botocore's event: seconds to wait before the next try, None to make do with this one."""
        error = caught_exception
        if response is not None:
            self._heard = True
            if response[0].status_code >= 300:
                error = ClientError(response[1], operation.name)  # type: ignore[arg-type]
        if error is None or not self._passing(error):
            self._succeeded()
            return None
        since = request_dict["context"].setdefault("wm_failing_since", time.monotonic())
        return self.pause(since, attempts, error)

    def pause(self, since: float, failures: int, error: Exception) -> float | None:
        """Seconds to wait after the latest of ``failures`` in a row, None when it was enough.

        ``since``: monotonic time of the first.
        """
        now = time.monotonic()
        left = since + self.seconds - now
        if left <= 0:
            return None
        self._failed(now, error)
        longest = min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 16))
        return min(left, random.uniform(longest / 2, longest))

    def _passing(self, error: Exception) -> bool:
        """Whether it may be gone the next time."""
        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return status in {408, 429, 500, 502, 503, 504} or error_code(error) in _PASSING
        if is_untrusted(error):
            return False
        if is_unknown_name(error):
            return self._heard  # else it is more likely mistyped than forgotten
        return isinstance(error, ConnectionError | HTTPClientError)

    def _failed(self, now: float, error: Exception) -> None:
        with self._lock:
            self._failing = self._failing or now
            # Who waits less is a bystander that tries again soon, and has its own words for it.
            if self._told or min(now - self._failing, self.seconds) < SAY_AFTER:
                return
            self._told = True
        why, _ = describe(error, self._bucket)
        logger.warning("store away: %s; trying for %g s", why, self.seconds)

    def _succeeded(self) -> None:
        with self._lock:
            since, told = self._failing, self._told
            self._failing, self._told = None, False
        if told and since is not None:
            logger.warning("the store is back after %.0f s", time.monotonic() - since)


def patience_from_environment() -> float:
    """``WM_STORE_PATIENCE`` in seconds, or the default."""
    value = os.environ.get(PATIENCE) or str(DEFAULT_PATIENCE)
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadConfig(f"{PATIENCE} is {value!r}, which is no number of seconds", hint="say 300")
    return seconds
