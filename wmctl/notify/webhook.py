"""One address that takes messages by POST, and what its answers mean.

The address is the secret that lets anybody write there. It is in no error, log or ``repr``: those
name scheme and host, and what urllib3 says of an error, which holds the address, is never shown.
"""

from __future__ import annotations

import html
import json
import logging
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import (
    HTTPError,
    InvalidHeader,
    NameResolutionError,
    NewConnectionError,
    SSLError,
    TimeoutError,
)
from urllib3.util import Url, parse_url

from wm.errors import BadConfig

FORMATS = ("slack", "plain")
"""``slack``: JSON that Slack, Mattermost and others take. ``plain``: the text itself."""

_TALKS = [
    f"urllib3.{name}"
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry")
]
"""Loggers of urllib3, some of which name the address: when debugging, and odd headers aloud."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try to send a message."""

    ok: bool = False
    again: bool = False
    """Whether another try may succeed where this one did not."""
    why: str = ""
    """In words, what went wrong."""
    after: float = 0.0
    """Seconds that the other side wants us to wait."""


class Webhook:
    """Sends messages to one address, one try at a time."""

    def __init__(
        self,
        url: str,
        form: str = FORMATS[0],
        *,
        named: str = "WM_WEBHOOK_URL",
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        """``form``: one of :data:`FORMATS`; ``named``: what an error calls the address.

        Raises ``BadConfig`` where it is none of http or https.
        """
        parsed = _parse(url, named)
        self.where = f"{parsed.scheme}://{parsed.host}"
        """Scheme and host, which may be shown."""
        self.form = form
        self._host, self._secret = parsed.host or "", parsed.request_uri
        self._url = parsed._replace(auth=None, fragment=None).url
        kind = "application/json" if form == "slack" else "text/plain; charset=utf-8"
        self._headers = {"Content-Type": kind, "User-Agent": "wmctl"}
        if parsed.auth:
            self._headers |= urllib3.make_headers(basic_auth=parsed.auth)
        self._pool = pool or urllib3.PoolManager(num_pools=1)
        for name in _TALKS:
            logging.getLogger(name).addFilter(self._may_be_said)

    def __repr__(self) -> str:
        return f"Webhook({self.where})"

    def send(self, text: str, link: str, timeout: float) -> Answer:
        """Try once, for ``timeout`` seconds to connect and to answer; raises nothing of the way."""
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=self._body(text, link),
                headers=self._headers,
                timeout=urllib3.Timeout(total=timeout),
                retries=False,
                redirect=False,  # a secret must not travel elsewhere
                preload_content=False,  # the status says it all
            )
        except HTTPError as error:
            return Answer(again=True, why=_words(error))
        status, after = response.status, response.headers.get("Retry-After", "")
        response.close()
        if 200 <= status < 300:
            return Answer(ok=True)
        if 300 <= status < 400:
            return Answer(why=f"it answers {status} and names another address, which is not asked")
        again = status >= 500 or status in (408, 429)
        return Answer(again=again, why=f"it answers {status}", after=_seconds(after))

    def close(self) -> None:
        """Let go of connections."""
        self._pool.clear()
        for name in _TALKS:
            logging.getLogger(name).removeFilter(self._may_be_said)

    def _body(self, text: str, link: str) -> bytes:
        if self.form == "plain":
            return f"{text}\n{link}".strip().encode()
        text, address = _escape(text), _escape(link)
        if link.startswith(("http://", "https://")):
            address = f"<{address}|report>"
        return json.dumps({"text": f"{text}\n{address}".strip()}).encode()

    def _may_be_said(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return self._host not in said or self._secret not in said


def _parse(url: str, named: str) -> Url:
    """The parts of an address; no error of urllib3 is passed on, because it shows the whole."""
    try:
        parsed = parse_url(url)
    except HTTPError:
        parsed = Url()
    plain = url.isprintable() and not any(letter.isspace() for letter in url)
    if parsed.scheme not in ("http", "https") or not parsed.host or not plain:
        raise BadConfig(
            f"{named} holds no http or https address",
            hint="copy the whole address that the chat service shows, https:// included",
        )
    return parsed


def _words(error: HTTPError) -> str:
    if isinstance(error, NameResolutionError):
        return "its name is not known"
    if isinstance(error, SSLError):
        return "no trusted connection (TLS)"
    # A refused connection counts as one that was not made in time, for urllib3.
    if isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError):
        return "no answer in time"
    return "no connection, or one that broke off"


def _seconds(after: str) -> float:
    """The header Retry-After: seconds, or a date. 0 for none, or one that makes no sense."""
    try:
        return max(0.0, urllib3.Retry().parse_retry_after(after)) if after else 0.0
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def _escape(text: str) -> str:
    """What Slack asks for: its three control characters, and no others."""
    return html.escape(text, quote=False)
