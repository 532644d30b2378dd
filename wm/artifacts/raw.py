"""The raw set: files as they were recorded, brought into the store for the encoder.

    raw/<name>/<relative path>     the files
               manifest.json       written last

A plan reads it as ``source: raw:<name>``. Files may be added to a raw set; what a name stood for
changes only where somebody asked for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.errors import BadConfig, BadData, InputMissing, first_problem
from wm.store import NotFound, Store, Tag
from wm.store.keys import check_key
from wm.store.verify import verify_object

MANIFEST = "manifest.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_THREADS = 8


class RawFile(BaseModel):
    """One file of a raw set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """Relative to the set, parts separated by ``/``."""
    size: int
    """Bytes."""
    sha256: str


class RawManifest(BaseModel):
    """``raw/<name>/manifest.json``."""

    model_config = ConfigDict(extra="forbid")

    name: str
    files: list[RawFile]
    """In order of path."""
    bytes: int
    """Of all files."""
    created: float
    """Seconds since the epoch, of the newest push that changed anything."""

    def key(self, file: RawFile) -> str:
        """Where the file lies in the store."""
        return raw_key(self.name, file.path)


def raw_key(name: str, path: str) -> str:
    """Key of a raw set's file; :class:`BadConfig` where it cannot be one."""
    return check_key(f"raw/{name}/{path}")


def check_raw_name(name: str) -> str:
    """``name`` itself, or :class:`BadConfig` saying what a raw set may be called."""
    if not _NAME.fullmatch(name) or MANIFEST in name.split("/"):
        raise BadConfig(
            f"{name!r} cannot name a raw set",
            hint="a name has letters, digits, '.', '_' and '-', and '/' between parts: "
            "melee/ranked",
        )
    raw_key(name, MANIFEST)
    return name


def load_raw(store: Store, name: str) -> RawManifest:
    """The manifest of a raw set; InputMissing where there is none, BadData where it is none."""
    return load_raw_tagged(store, name)[0]


def load_raw_tagged(store: Store, name: str) -> tuple[RawManifest, Tag]:
    """As :func:`load_raw`, with the tag to replace the manifest against."""
    key = raw_key(check_raw_name(name), MANIFEST)
    try:
        text, tag = store.get_tagged(key)
    except NotFound:
        raise InputMissing(
            f"there is no raw set {name} in the store {store.url}",
            hint=f"`wmctl data push FILES {name}` makes it; `wmctl data list` shows what there is",
        ) from None
    try:
        manifest = RawManifest.model_validate_json(text)
        if manifest.name != name:
            raise BadData(f"{key} is the manifest of another raw set, {manifest.name}")
    except ValidationError as error:
        raise BadData(
            f"{key} is not a manifest: {first_problem(error)}",
            hint=f"delete that object and push {name} again; what is there is not sent again",
        ) from None
    return manifest, tag


def list_raw(store: Store) -> Iterator[RawManifest]:
    """Every raw set, by name. A file that is called ``manifest.json`` is not taken for one."""
    names = [
        entry.key.removeprefix("raw/").removesuffix(f"/{MANIFEST}")
        for entry in store.list("raw/")
        if entry.key.endswith(f"/{MANIFEST}") and entry.key.count("/") > 1
    ]
    for name in names:
        try:
            yield load_raw(store, name)
        except (BadConfig, BadData, InputMissing):
            continue


def verify_raw(
    store: Store, name: str, checked: Callable[[RawFile], None] = lambda file: None
) -> RawManifest:
    """Read every file that the manifest names and compare size and SHA-256.

    ``checked`` hears of each that is whole. Raises like :func:`load_raw`, and BadData or
    InputMissing naming a file that is not what it was. Constant memory.
    """
    manifest = load_raw(store, name)
    hint = f"push it again: wmctl data push FILES {name} --replace"

    def verify(file: RawFile) -> None:
        verify_object(store, manifest.key(file), file.size, file.sha256, hint=hint)
        checked(file)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(verify, manifest.files))
    return manifest
