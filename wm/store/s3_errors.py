"""What boto reports, in one clause for a person, with the way out; never a credential."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

CREDENTIALS = "check the access key, its secret and the rights it has on this bucket"
AGAIN = "check the network and the endpoint's health, then submit again"

CODES: dict[str, tuple[str, str]] = {
    "NoSuchBucket": ("there is no bucket {bucket}", "create the bucket or correct its name"),
    "AccessDenied": ("access denied", CREDENTIALS),
    "403": ("access denied", CREDENTIALS),
    "AllAccessDisabled": ("access denied", CREDENTIALS),
    "InvalidAccessKeyId": ("the access key is unknown there", CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key does not fit the access key", CREDENTIALS),
    "ExpiredToken": ("the credentials have expired", "renew them, then submit again"),
    "TokenRefreshRequired": ("the credentials have expired", "renew them, then submit again"),
    "InvalidToken": ("the session token is not valid", "renew it, then submit again"),
    "RequestTimeTooSkewed": ("{clock}", "set this machine's clock, for example by NTP"),
    "RequestExpired": ("{clock}", "set this machine's clock, for example by NTP"),
    "SlowDown": ("the store asks to slow down", AGAIN),
    "503": ("the store asks to slow down", AGAIN),
    "PreconditionFailed": ("it was replaced while it was read", "try again"),
    "412": ("it was replaced while it was read", "try again"),
    "QuotaExceeded": ("the bucket's quota is used up", "free space or raise the quota"),
    "EntityTooLarge": ("the object is larger than the store takes", "make smaller shards"),
}

EXCEPTIONS: list[tuple[type[Exception], str, str]] = [
    (
        NoCredentialsError,
        "no credentials were found",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role",
    ),
    (PartialCredentialsError, "the credentials are incomplete", CREDENTIALS),
    (EndpointConnectionError, "nothing answers there", AGAIN),
    (ConnectTimeoutError, "no connection in time", AGAIN),
    (ReadTimeoutError, "no answer in time", AGAIN),
    (IncompleteReadError, "the answer broke off again and again", AGAIN),
    (ResponseStreamingError, "the answer broke off again and again", AGAIN),
]


def error_code(error: ClientError) -> str:
    """``NoSuchKey`` and the like; the status as text where an answer had no body."""
    return error.response.get("Error", {}).get("Code", "")


def describe(error: Exception, bucket: str) -> tuple[str, str]:
    """Why a request failed, and the hint."""
    if isinstance(error, ClientError):
        code = error_code(error)
        if code in CODES:
            why, hint = CODES[code]
            return why.format(bucket=bucket, clock=_clock(error)), hint
        message = error.response.get("Error", {}).get("Message", "")
        return f"the store answered {code} {message}".strip(), AGAIN
    if is_unknown_name(error):
        return "there is no machine of that name", "correct AWS_ENDPOINT_URL_S3 or the DNS"
    if is_untrusted(error):
        return "its certificate is not trusted", "set AWS_CA_BUNDLE to its authority's file"
    for kind, why, hint in EXCEPTIONS:
        if isinstance(error, kind):
            return why, hint
    return " ".join(str(error).split()) or type(error).__name__, AGAIN


def is_unknown_name(error: Exception) -> bool:
    """Whether DNS knows of no such name; that it does not answer now is another error."""
    return any(
        isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
        for cause in _causes(error)
    )


def is_untrusted(error: Exception) -> bool:
    """Whether the server's certificate was refused."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from; botocore keeps that in an argument."""
    while error is not None:
        yield error
        inner = getattr(error, "kwargs", {}).get("error")
        inner = inner if isinstance(inner, BaseException) else None
        error = inner or error.__cause__ or error.__context__


def _clock(error: ClientError) -> str:
    """By how much this machine's clock differs from the store's, where the answer tells."""
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if date is None:
        return "this machine's clock and the store's differ too much"
    ahead = round(time.time() - parsedate_to_datetime(date).timestamp())
    side = "ahead of" if ahead >= 0 else "behind"
    return f"this machine's clock is {abs(ahead)} s {side} the store's, which refuses the request"
