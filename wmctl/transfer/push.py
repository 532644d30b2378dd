"""``wmctl data push``: files of this machine become a raw set, or join one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from wm.artifacts.raw import (
    MANIFEST,
    RawFile,
    RawManifest,
    check_raw_name,
    list_raw,
    load_raw_tagged,
    raw_key,
)
from wm.errors import BadConfig, InputMissing
from wm.store import ABSENT, Conflict, Entry, NotFound, Store, Tag
from wm.store.checksum import file_sha256
from wm.store.lease import LeaseHeld
from wm.store.send import Sent, open_file, open_sender
from wmctl.transfer.files import LocalFile, find_files
from wmctl.transfer.held import Held
from wmctl.transfer.progress import Progress


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did."""

    manifest: RawManifest
    files: int
    """Of this push."""
    bytes: int
    """Of these files."""
    sent: int
    """Bytes that went to the store; the others were there."""


def push(
    store: Store, sources: list[Path], name: str, progress: Progress, *, replace: bool = False
) -> Pushed:
    """Make every file of ``sources`` part of the raw set ``name``.

    The manifest comes last, by compare-and-swap. Files that are there already with the same bytes
    are not sent; one that is there with other bytes is refused before anything is sent, unless
    ``replace``. Memory does not depend on sizes.
    """
    files = find_files(sources, check_raw_name(name))
    try:
        with Held(store, f"leases/raw/{name}.json") as held:
            return _Push(store, name, files, progress, held).run(replace)
    except LeaseHeld as error:
        error.message = f"somebody else pushes to {name}: {error.message}"
        raise


@dataclass(slots=True)
class _Push:
    store: Store
    name: str
    files: list[LocalFile]
    progress: Progress
    held: Held
    sent: int = field(default=0, init=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self, replace: bool) -> Pushed:
        old, tag = self._existing()
        known = {file.path: file for file in old.files} if old else {}
        there = {entry.key: entry for entry in self.store.list(f"raw/{self.name}/")}
        same = self._same(known)
        changed = [f.name for f in self.files if f.name in known and f.name not in same]
        if changed and not replace:
            raise _other_content(self.name, changed)
        wanted = [f for f in self.files if f.name not in same or not self._stands(f, there)]
        merged = known | self._send(wanted, there)
        if old is None or merged != known:
            old = self._publish(merged, tag)
        return Pushed(old, len(self.files), sum(file.size for file in self.files), self.sent)

    def _existing(self) -> tuple[RawManifest | None, Tag | None]:
        try:
            return load_raw_tagged(self.store, self.name)
        except InputMissing:
            pass
        for other in list_raw(self.store):
            if f"{other.name}/".startswith(f"{self.name}/") or self.name.startswith(
                f"{other.name}/"
            ):
                raise BadConfig(
                    f"{self.name} and the raw set {other.name} would lie within each other",
                    hint="raw sets lie side by side: melee/ranked and melee/mine, without melee",
                )
        return None, None

    def _same(self, known: dict[str, RawFile]) -> set[str]:
        """Files whose bytes are what the manifest says; all that may be so are read."""
        maybe = [f for f in self.files if f.name in known and f.size == known[f.name].size]
        self.progress.begin("comparing", sum(file.size for file in maybe))
        same = set()
        for file in maybe:
            with open_file(file.path):  # for its error
                if file_sha256(file.path) == known[file.name].sha256:
                    same.add(file.name)
            self.progress.advance(file.size, False)
        return same

    def _stands(self, file: LocalFile, there: dict[str, Entry]) -> bool:
        """Whether the object is there as the manifest found it: not removed, nor replaced by a
        push that was killed."""
        entry = there.get(raw_key(self.name, file.name))
        manifest = there[raw_key(self.name, MANIFEST)]
        return entry is not None and entry.size == file.size and entry.modified < manifest.modified

    def _send(self, files: list[LocalFile], there: dict[str, Entry]) -> dict[str, RawFile]:
        self.progress.begin("sending", sum(file.size for file in files))
        on_their_way: list[tuple[str, Future[Sent]]] = []
        with open_sender(self.store, self._told) as sender:
            for file in files:
                key = raw_key(self.name, file.name)
                on_their_way.append((file.name, sender.send(file.path, key, there.get(key))))
            return {
                name: RawFile(path=name, size=future.result().size, sha256=future.result().sha256)
                for name, future in on_their_way
            }

    def _told(self, count: int, sent: bool) -> None:
        self.held.check()
        with self.lock:
            self.sent += count if sent else 0
        self.progress.advance(count, sent)

    def _publish(self, files: dict[str, RawFile], tag: Tag | None) -> RawManifest:
        self.held.check()
        manifest = RawManifest(
            name=self.name,
            files=sorted(files.values(), key=lambda file: file.path),
            bytes=sum(file.size for file in files.values()),
            created=time.time(),
        )
        try:
            self.store.put(
                raw_key(self.name, MANIFEST),
                manifest.model_dump_json(indent=1).encode(),
                only_if=tag or ABSENT,
            )
        except (Conflict, NotFound):
            raise Conflict(
                f"another push changed the raw set {self.name} meanwhile",
                hint="push again: what is there with the same bytes is not sent again",
            ) from None
        return manifest


def _other_content(name: str, changed: list[str]) -> BadConfig:
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return BadConfig(
        f"{changed[0]}{more} in the raw set {name} has other content; nothing was sent",
        hint="--replace puts yours there; or push to a new name, so that runs can be repeated",
    )
