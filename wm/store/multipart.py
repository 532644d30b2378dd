"""Uploads to S3 in parts that a later process goes on with, after a broken line or a kill.

boto's own transfer manager forgets its upload with its process. Here a file's parts are a function
of its size alone, so that whoever sends it next finds the unfinished upload, compares each part
that is there with the file's own (an ETag is the MD5 of its part) and sends the others. Stores
whose ETags are something else, as with SSE-KMS, get every part again; the bytes are right anyway.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from wm.errors import BadData
from wm.store.base import Entry
from wm.store.etag import combined, content_md5, contradicts, md5_of, said_md5
from wm.store.s3_errors import error_code
from wm.store.send import Sent, SourceFile, Told, Unfinished, open_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 8 << 20
"""Bytes of a part, and of the largest file that is sent in one piece."""
MAX_PARTS = 10_000
IN_FLIGHT = 8
"""Parts on their way at once; each costs its size in memory, twice."""
TRIES = 3
"""Of a part that arrives damaged; botocore repeats everything else that may pass."""
DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch"}

T = TypeVar("T")


class S3Sender:
    """:class:`wm.store.send.Sender` into a bucket, several parts or small files at once."""

    def __init__(
        self,
        client: S3Client,
        name: Callable[[str], dict[str, Any]],
        reporting: Callable[[str, str], AbstractContextManager[None]],
        told: Told,
    ) -> None:
        """``name`` gives a key's bucket and full key; ``reporting`` words what requests raise."""
        self._client, self._name, self._reporting, self._told = client, name, reporting, told
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="send")
        self._slots = threading.BoundedSemaphore(IN_FLIGHT)
        self._failure: BaseException | None = None

    def __enter__(self) -> S3Sender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error, what is on its way may arrive; Ctrl-C does not wait for a slow line.
        interrupted = kind is not None and not issubclass(kind, Exception)
        self._pool.shutdown(wait=not interrupted, cancel_futures=kind is not None)

    def send(self, path: Path, key: str, there: Entry | None) -> Future[Sent]:
        with open_file(path) as source:
            if there is not None and there.size != source.size:
                there = None
            if source.size <= PART:
                return self._send_small(source, key, there)
            sent = self._unless_there(source, there) or self._send_parts(source, key)
        future: Future[Sent] = Future()
        future.set_result(sent)
        return future

    def unfinished(self, folder: str) -> list[Unfinished]:
        name = self._name(folder)
        with self._reporting("list unfinished uploads to", folder):
            return self._list(name["Bucket"], f"{name['Key']}/")

    def abort(self, upload: Unfinished) -> None:
        with self._reporting("remove the unfinished upload of", upload.key):
            self._client.abort_multipart_upload(**upload.name)

    def _send_small(self, source: SourceFile, key: str, there: Entry | None) -> Future[Sent]:
        (data,) = source.pieces(PART)
        sent = Sent(len(data), hashlib.sha256(data).hexdigest())

        def put() -> Sent:
            md5 = md5_of(data)
            is_there = there is not None and said_md5(there.tag) == md5
            if not is_there:
                self._send(partial(self._client.put_object, **self._name(key)), key, data, md5)
            self._told(len(data), not is_there)
            return sent

        return self._submit(put)

    def _unless_there(self, source: SourceFile, there: Entry | None) -> Sent | None:
        """What ``source`` is, if the object was made of the same parts."""
        if there is None or said_md5(there.tag) is None:
            return None
        sha256, sums = self._each_part(source, lambda _, data: md5_of(data))
        if said_md5(there.tag) != combined(sums):
            return None
        self._told(source.size, False)
        return Sent(source.size, sha256)

    def _send_parts(self, source: SourceFile, key: str) -> Sent:
        upload, arrived = self._take_up(key)

        def send_part(number: int, data: bytes) -> tuple[str, str]:
            md5, tag = md5_of(data), arrived.get(number, "")
            is_there = said_md5(tag) == md5
            if not is_there:
                request = partial(self._client.upload_part, **upload, PartNumber=number)
                tag = self._send(request, f"part {number} of {key}", data, md5)
            self._told(len(data), not is_there)
            return md5, tag

        sha256, parts = self._each_part(source, send_part)
        self._complete(key, upload, source.size, parts)
        return Sent(source.size, sha256)

    def _each_part(
        self, source: SourceFile, work: Callable[[int, bytes], T]
    ) -> tuple[str, list[T]]:
        """SHA-256 of the whole, and what ``work(number, data)`` makes of each part, in order."""
        whole = hashlib.sha256()
        made: list[Future[T]] = []
        for number, data in enumerate(source.pieces(part_size(source.size)), 1):
            made.append(self._submit(partial(work, number, data)))
            whole.update(data)
        return whole.hexdigest(), [future.result() for future in made]

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        """Let a thread do it, once there is room; raises what went wrong in another thread."""
        self._slots.acquire()
        if self._failure:
            self._slots.release()
            raise self._failure
        future = self._pool.submit(work)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: Future[Any]) -> None:
        if not future.cancelled():
            self._failure = self._failure or future.exception()
        self._slots.release()

    def _send(self, request: Callable[..., Any], what: str, data: bytes, md5: str) -> str:
        """Send ``data`` with its MD5, which the store compares with what arrived; the ETag."""
        with self._reporting("write", what):
            for left in reversed(range(TRIES)):
                try:
                    answer = request(Body=data, ContentMD5=content_md5(md5))
                    break
                except ClientError as error:
                    if error_code(error) not in DAMAGED or not left:
                        raise
        if contradicts(answer, md5):
            raise _damaged(what)
        return str(answer["ETag"])

    def _take_up(self, key: str) -> tuple[dict[str, Any], dict[int, str]]:
        """The newest unfinished upload of ``key``, or a new one, and the ETags of its parts."""
        name = self._name(key)
        with self._reporting("write", key):
            found = [u for u in self._list(name["Bucket"], name["Key"]) if u.key == name["Key"]]
            if found:
                upload = max(found, key=lambda upload: upload.started).name
                pages = self._client.get_paginator("list_parts").paginate(**upload)
                parts = [part for page in pages for part in page.get("Parts", ())]
                return upload, {part["PartNumber"]: part["ETag"] for part in parts}
            created = self._client.create_multipart_upload(**name)
            return name | {"UploadId": created["UploadId"]}, {}

    def _complete(
        self, key: str, upload: dict[str, Any], size: int, parts: list[tuple[str, str]]
    ) -> None:
        """Make one object of the parts, given as (MD5, ETag), and look whether it is ours."""
        expected = combined([md5 for md5, _ in parts])
        numbered: Any = [{"PartNumber": n, "ETag": tag} for n, (_, tag) in enumerate(parts, 1)]
        refusal: ClientError | None = None
        with self._reporting("write", key):
            try:
                self._client.complete_multipart_upload(
                    **upload, MultipartUpload={"Parts": numbered}
                )
            except ClientError as error:
                if error_code(error) != "NoSuchUpload":
                    raise
                refusal = error  # So ends the repeat of a completion whose answer was lost.
            found = self._client.head_object(**self._name(key))
            if refusal and said_md5(found["ETag"]) != expected:
                raise refusal
        if found["ContentLength"] != size or contradicts(found, expected):
            raise _damaged(key)

    def _list(self, bucket: str, prefix: str) -> list[Unfinished]:
        pages = self._client.get_paginator("list_multipart_uploads")
        return [
            Unfinished(
                {"Bucket": bucket, "Key": found["Key"], "UploadId": found["UploadId"]},
                found["Initiated"].timestamp(),
            )
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for found in page.get("Uploads", ())
        ]


def part_size(size: int) -> int:
    """Bytes of each part but the last of a file of ``size`` bytes, whole MiB."""
    return max(PART, -(-size // MAX_PARTS >> 20) << 20) if size > PART * MAX_PARTS else PART


def _damaged(what: str) -> BadData:
    return BadData(
        f"{what} arrived with another checksum than it was sent with",
        hint="push it again; if that stays so, something on the way to the store damages data",
    )
