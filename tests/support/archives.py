"""Packs the same files in every way that a source may come in."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import py7zr
import zstandard

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}

SUFFIXES = (".zip", ".7z", ".tar", ".tgz", *(f".tar{suffix}" for suffix in COMPRESS))


def write_archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write an archive of the kind that the path's name says, members in the order given."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif path.name.endswith(".7z"):
        with py7zr.SevenZipFile(path, "w") as seven:
            for name, data in files.items():
                seven.writef(io.BytesIO(data), name)
    else:
        suffix = path.name.partition(".tar")[2] or (".gz" if path.suffix == ".tgz" else "")
        path.write_bytes(COMPRESS.get(suffix, bytes)(_tar(files)))
    return path


def _tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()
