"""Below the API: lines of a stream, and what a broken connection means in words."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

import urllib3


def lines(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    """Lines as they arrive; what a broken connection left of the last one is dropped."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    rest = ""
    for chunk in response.stream(65536, decode_content=True):
        *whole, rest = (rest + decode(chunk)).split("\n")
        yield from filter(None, whole)


def cause(error: Exception) -> str:
    """Why there was no answer: the last words of an error from below."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "no answer in time"
    if type(error) is urllib3.exceptions.ConnectTimeoutError:  # others are kinds of it
        return "no connection in time"
    if isinstance(error, ValueError):
        return "what it sent cannot be read"
    text = str(getattr(error, "reason", "") or error)
    # "HTTPSConnection(host=…): Failed to …: [Errno 111] Connection refused",
    # "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: … (_ssl.c:1006)"
    last = re.split(r"\[Errno -?\d+\] |\[SSL[^]]*\] ", text)[-1]
    return re.sub(r" \(_ssl.*|[)']+$", "", last) or type(error).__name__
