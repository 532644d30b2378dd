"""A store in an S3 bucket, of any vendor, by boto3.

Endpoint, region and credentials come from boto's own sources (``AWS_ENDPOINT_URL_S3``, profiles,
roles and so on). Trouble is waited out as :mod:`wm.store.patience` says; a body that breaks off is
resumed where it broke. Unfinished multipart uploads are invisible, but cost space until the
bucket's lifecycle rule removes them.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from wm.errors import BadConfig, InputMissing, StoreUnreachable
from wm.store.base import ABSENT, Absent, Conflict, Entry, NotFound, Tag
from wm.store.checksum import check_sha256, file_sha256
from wm.store.download import CHUNK, download_to
from wm.store.keys import check_key, check_prefix
from wm.store.multipart import S3Sender
from wm.store.patience import Patience, patience_from_environment
from wm.store.s3_errors import describe, error_code
from wm.store.send import Told

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

MULTIPART_ABOVE = 64 << 20
PART = 32 << 20
LONGEST_LINK = 7 * 24 * 3600
"""Seconds that a signature of version 4 may hold."""


class S3Store:
    """:class:`wm.store.Store` whose objects lie below ``s3://bucket/prefix``; tags are ETags."""

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        """``patience``: seconds that trouble with one request is waited out, and with a body that
        makes no progress; what the environment says by default."""
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        prefix = check_prefix(prefix.strip("/"))
        if not bucket:
            raise BadConfig(f"{url!r} names no bucket", hint="give s3://bucket/prefix")
        self.bucket = bucket
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        seconds = patience_from_environment() if patience is None else patience
        self._patience = Patience(seconds, bucket)
        with self._reporting("open the store", self.url):
            self._client = boto3.session.Session().client("s3", config=_config(seconds))
        retry: Any = self._patience.needs_retry  # the stubs forget that the answer counts
        self._client.meta.events.register("needs-retry.s3", retry)

    def get(self, key: str, *, sha256: str | None = None) -> bytes:
        data, _ = self.get_tagged(key)
        check_sha256(key, hashlib.sha256(data).hexdigest() if sha256 else "", sha256)
        return data

    def get_tagged(self, key: str) -> tuple[bytes, Tag]:
        response = self._open(key)
        return b"".join(self._chunks(key, response)), Tag(response["ETag"])

    def put(self, key: str, data: bytes, *, only_if: Absent | Tag | None = None) -> Tag:
        """As in :class:`wm.store.Store`.

        Each write carries a mark of its own, so that a conditional one whose answer was lost,
        and whose retry is therefore refused, is known as the one that won.
        """
        mark = secrets.token_hex(8)
        condition: Any = {}
        if only_if is ABSENT:
            condition = {"IfNoneMatch": "*"}
        elif isinstance(only_if, str):
            condition = {"IfMatch": only_if}
        with self._reporting("write", key):
            try:
                response = self._client.put_object(
                    **self._name(key),
                    **condition,
                    Body=data,
                    ContentMD5=_md5(data),
                    Metadata={"wm-write": mark},
                )
            except ClientError as error:
                if only_if is None or not _refused(error):
                    raise
                return self._won_unheard(key, mark, error)
        return Tag(response["ETag"])

    def head(self, key: str) -> Entry | None:
        with self._reporting("read", key):
            try:
                found = self._client.head_object(**self._name(key))
            except ClientError as error:
                if error_code(error) == "404":
                    return None
                raise
        modified = found["LastModified"].timestamp()
        return Entry(key, found["ContentLength"], Tag(found["ETag"]), modified)

    def open_range(self, key: str, start: int, stop: int) -> bytes:
        if stop <= start:
            return b""
        try:
            return b"".join(self._chunks(key, self._open(key, start, stop), start, stop))
        except _PastTheEnd:
            return b""

    def list(self, prefix: str) -> Iterator[Entry]:
        with self._reporting("list", prefix or self.url):
            # Not every vendor sorts "a-b" before "a/b", as the order of keys wants.
            found = sorted(self._pages(check_prefix(prefix)), key=attrgetter("key"))
        yield from found

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> None:
        entry = self.head(key)
        if entry is None:
            raise self._missing(key)

        def chunks_from(offset: int) -> Iterator[bytes]:
            if offset < entry.size:
                response = self._open(key, offset, None, entry.tag)
                yield from self._chunks(key, response, offset)

        download_to(path, entry, chunks_from, sha256)

    def upload(self, path: Path, key: str) -> Entry:
        if not path.is_file():
            raise InputMissing(f"there is no file {path} to publish as {key}")
        config = TransferConfig(MULTIPART_ABOVE, max_concurrency=4, multipart_chunksize=PART)
        name = self._name(key)["Key"]
        with self._reporting("write", key):
            digest = file_sha256(path)
            mark = {"Metadata": {"sha256": digest}}
            try:
                with create_transfer_manager(self._client, config) as transfers:
                    transfers.upload(str(path), self.bucket, name, extra_args=mark).result()
            except ClientError as error:
                # So ends a repeated completion whose first answer was lost; the mark decides.
                if error_code(error) != "NoSuchUpload" or not self._has(key, "sha256", digest):
                    raise
        entry = self.head(key)
        if entry is None:
            raise self._missing(key)
        return entry

    def sender(self, told: Told) -> S3Sender:
        """A way in for files of any size, which a later process can go on with."""
        return S3Sender(self._client, self._name, self._reporting, told)

    def delete(self, key: str) -> None:
        with self._reporting("remove", key):
            self._client.delete_object(**self._name(key))

    def path(self, key: str) -> None:
        return None

    def presign(self, key: str, seconds: int) -> str:
        # Our pages are stored without a type, and a browser would offer to save them.
        shown = {"ResponseContentType": "text/html; charset=utf-8"} if key.endswith(".html") else {}
        wanted, seconds = self._name(key) | shown, min(seconds, LONGEST_LINK)
        with self._reporting("sign a link to", key):
            return self._client.generate_presigned_url("get_object", wanted, ExpiresIn=seconds)

    def _pages(self, prefix: str) -> Iterator[Entry]:
        paginator = self._client.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.bucket, Prefix=self._prefix + prefix):
            for found in page.get("Contents", ()):
                # Consoles mark an empty folder by an object whose key ends so.
                if not found["Key"].endswith("/"):
                    key = found["Key"].removeprefix(self._prefix)
                    modified = found["LastModified"].timestamp()
                    yield Entry(key, found["Size"], Tag(found["ETag"]), modified)

    def _name(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self._prefix + check_key(key)}

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"there is no {key} in the store {self.url}")

    @contextmanager
    def _reporting(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, HTTPError, OSError) as error:
            raise self._unreachable(doing, key, error) from error

    def _unreachable(self, doing: str, key: str, error: Exception) -> StoreUnreachable:
        endpoint = self._client.meta.endpoint_url if hasattr(self, "_client") else "AWS"
        why, hint = describe(error, self.bucket)
        return StoreUnreachable(f"cannot {doing} {key} at {endpoint}: {why}", hint=hint)

    def _open(
        self, key: str, start: int = 0, stop: int | None = None, tag: str | None = None
    ) -> GetObjectOutputTypeDef:
        """The answer whose body is bytes ``[start, stop)`` of the version ``tag``."""
        wanted: Any = {"IfMatch": tag} if tag else {}
        if start or stop is not None:
            wanted["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        with self._reporting("read", key):
            try:
                return self._client.get_object(**self._name(key), **wanted)
            except ClientError as error:
                code = error_code(error)
                if code == "NoSuchKey":
                    raise self._missing(key) from None
                if code == "InvalidRange":
                    raise _PastTheEnd from None
                raise

    def _chunks(
        self, key: str, response: GetObjectOutputTypeDef, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """The body's bytes; one that breaks off is asked for again from where it broke."""
        failures, since = 0, 0.0
        while True:
            try:
                for chunk in response["Body"].iter_chunks(CHUNK):
                    yield chunk
                    start += len(chunk)
                    failures = 0
                return
            except (BotoCoreError, HTTPError, OSError) as error:
                failures += 1
                since = time.monotonic() if failures == 1 else since
                pause = self._patience.pause(since, failures, error)
                if pause is None:
                    raise self._unreachable("read", key, error) from error
            time.sleep(pause)
            response = self._open(key, start, stop, response["ETag"])

    def _won_unheard(self, key: str, mark: str, error: ClientError) -> Tag:
        """The tag of our own write, if a retry of it was what ``error`` refused."""
        retried = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
        if retried and self._has(key, "wm-write", mark) and (entry := self.head(key)):
            return entry.tag
        raise Conflict(f"{key} in the store {self.url} was written by another") from error

    def _has(self, key: str, name: str, value: str) -> bool:
        """Whether the object carries this metadata, that is, comes from our own request."""
        try:
            found = self._client.head_object(**self._name(key))
        except ClientError as error:
            if error_code(error) == "404":
                return False
            raise
        return found["Metadata"].get(name) == value


class _PastTheEnd(Exception):
    """A range that begins behind the last byte."""


def _config(patience: float) -> Config:
    return Config(
        connect_timeout=min(10, max(patience, 1)),
        read_timeout=min(60, max(patience, 10)),
        retries={"mode": "standard", "total_max_attempts": 1},  # ours are patience's
        max_pool_connections=32,
        tcp_keepalive=True,
        signature_version="s3v4",  # the default, except of links, which newer buckets refuse
        s3={"addressing_style": "path"},
        # Many vendors refuse boto's newer checksums; SHA-256 of manifests is checked anyway.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _md5(data: bytes) -> str:
    """What S3 compares with the bytes that arrived."""
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _refused(error: ClientError) -> bool:
    """Whether a condition did not hold: 412, 409 (a race in progress), or nothing to match."""
    return error_code(error) in {
        "PreconditionFailed",
        "ConditionalRequestConflict",
        "OperationAborted",
        "NoSuchKey",
        "412",
        "409",
    }
