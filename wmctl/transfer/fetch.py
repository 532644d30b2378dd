"""Objects to a folder with the same names: each once, each checked, those that are there kept."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadData, StoreUnreachable
from wm.store import Entry, Store
from wm.store.checksum import file_sha256
from wm.store.disk import disk_error
from wm.store.etag import file_md5, said_md5
from wm.store.keys import RESERVED, check_key
from wmctl.show import phrases
from wmctl.transfer.progress import Progress

LEDGER = f"{RESERVED}/collected.jsonl"
THREADS = 8
TRIES = 3
"""Of an object that arrives damaged."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to fetch."""

    entry: Entry
    kind: str
    """What it is for people: ``logs``, ``models``."""
    sha256: str | None = None
    """Where a manifest or card vouches for it."""


class Kept(BaseModel):
    """A line of the ledger: which version of an object the file of that name is."""

    model_config = ConfigDict(extra="forbid")

    key: str
    tag: str
    sha256: str


class Fetcher:
    """Brings objects of ``store`` into ``folder``; a second one fetches only what is new."""

    def __init__(self, store: Store, folder: Path, progress: Progress) -> None:
        self._store, self._folder, self._progress = store, folder, progress
        self._ledger = folder / LEDGER
        self._kept = {kept.key: kept for kept in _read(self._ledger)}
        self._lock = threading.Lock()
        self.files = 0
        self.bytes = 0
        """Fetched so far; what was here already does not count."""

    def fetch(self, wanted: list[Wanted]) -> None:
        """Bring them all. Raises BadData for an object that stays damaged, and StoreUnreachable
        where the store or the disk does not let us."""
        self._progress.begin("fetching", sum(item.entry.size for item in wanted))
        with ThreadPoolExecutor(THREADS) as pool:
            here = list(pool.map(self._is_here, wanted))
            missing = [item for item, is_here in zip(wanted, here, strict=True) if not is_here]
            self._check_space(missing)
            list(pool.map(self._fetch, missing))

    def _is_here(self, item: Wanted) -> bool:
        path = self._path(item.entry.key)
        if not path.is_file() or path.stat().st_size != item.entry.size:
            return False
        kept = self._kept.get(item.entry.key)
        expected = kept.sha256 if kept and kept.tag == item.entry.tag else item.sha256
        is_here = expected is not None and file_sha256(path) == expected
        if is_here:
            self._progress.advance(item.entry.size, False)
        return is_here

    def _check_space(self, missing: list[Wanted]) -> None:
        needed = sum(item.entry.size for item in missing)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise StoreUnreachable(
                f"{phrases.size(needed)} are to be fetched, and {self._folder} has room for "
                f"{phrases.size(free)}",
                hint="free space there or choose another folder; nothing was fetched",
            )

    def _fetch(self, item: Wanted) -> None:
        key, path = item.entry.key, self._path(item.entry.key)
        # What grows while the run goes on is another version now.
        entry = self._store.head(key)
        if entry is None and item.sha256 is None:
            return  # Removed since it was listed.
        entry = entry or item.entry
        kept = Kept(key=key, tag=entry.tag, sha256=self._download(entry, path, item.sha256))
        self._progress.advance(entry.size, True)
        with self._lock, reporting(path):
            self.files += 1
            self.bytes += entry.size
            self._ledger.parent.mkdir(parents=True, exist_ok=True)
            with self._ledger.open("a", encoding="utf-8") as ledger:
                # A line of its own, even behind one that a kill cut off.
                ledger.write(f"\n{kept.model_dump_json()}\n")

    def _download(self, entry: Entry, path: Path, sha256: str | None) -> str:
        """SHA-256 of the file that now is the object.

        Where no manifest vouches for it, its ETag does; and where that is no MD5 (the store does
        not say so), two copies that agree.
        """
        copies: list[str] = []
        for left in reversed(range(TRIES)):
            try:
                self._store.download(entry.key, path, sha256=sha256)
            except BadData:
                if left:
                    continue
                raise
            copies.append(file_sha256(path))
            agreed = copies[-1] in copies[:-1]
            if sha256 or agreed or said_md5(entry.tag) in (None, file_md5(path)):
                return copies[-1]
        path.unlink()
        raise BadData(
            f"{entry.key} arrived damaged {TRIES} times",
            hint="collect again; if that stays so, something on the way here damages data",
        )

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Words what a disk refuses."""
    try:
        yield
    except OSError as error:
        raise disk_error(f"write {path}", error) from error


def _read(ledger: Path) -> Iterator[Kept]:
    """Its lines; what a kill or a full disk cut off counts as not kept."""
    if not ledger.is_file():
        return
    for line in ledger.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValidationError):
            yield Kept.model_validate_json(line)
