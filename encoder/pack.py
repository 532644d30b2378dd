"""Batches in order go in; shards, verdicts and at last the manifest come out.

The output is a sequence of *blocks*: as many tasks as fill ``shard_mb``, or fewer where hardly any
game is accepted. A block that is full is written at once, one shard per split, and then
``progress/note.json`` says how many tasks are done. A killed stage goes on behind the last note,
and as blocks depend on nothing but what readers answered, it ends with the same bytes as one that
was never killed.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from encoder.batch import COLUMNS, Batch, Verdict, unpack_games
from encoder.block import Block
from encoder.config import EncodeConfig
from encoder.ledger import Ledger, Sums
from encoder.seen import Seen
from encoder.tasks import Task
from wm.artifacts.dataset import SPLITS, FileInfo, Inputs, Manifest, SplitInfo
from wm.errors import BadData
from wm.games.game import Reason, Rejected
from wm.store import ABSENT, Conflict, NotFound, Store

logger = logging.getLogger("wm.encoder")

READ = 8
"""A block ends as well when answers of so many times its size were read for it: what other members
parsed is kept until then, and a killed stage reads it again."""


class _Note(BaseModel):
    """``progress/note.json``: what the blocks so far hold."""

    model_config = ConfigDict(extra="forbid")

    tasks: int = 0
    """Done; the next run begins behind them."""
    splits: dict[str, SplitInfo]
    sums: Sums
    parts: list[FileInfo] = []
    """Of each block: identities of its games, then its verdict rows."""


class Packer:
    """Makes the data set at ``key``."""

    def __init__(self, config: EncodeConfig, store: Store, key: str, scratch: Path) -> None:
        self._config = config
        self._store = store
        self._key = key
        self._scratch = scratch
        self._note = self._resume()
        self._seen = Seen()
        for part in self._note.parts[::2]:
            ids = self._store.get(part.key, sha256=part.sha256)
            self._seen.add(np.frombuffer(ids, np.uint8).reshape(-1, 16))
        self._ledger = Ledger(scratch / "verdicts.jsonl", self._note.sums)
        self._block = Block()
        self._read = 0  # bytes of answers since the last block

    @property
    def done(self) -> int:
        """Tasks whose games are in finished blocks; a run that is killed goes on behind them."""
        return self._note.tasks

    @property
    def sums(self) -> Sums:
        """Counts so far."""
        return self._ledger.sums

    def add(self, task: Task, answers: Sequence[bytes | Rejected]) -> None:
        """Take what a reader made of the next task."""
        batches = [self._batch(answer) for answer in answers]
        if self._full(sum(b.bytes for b in batches if isinstance(b, Batch))):
            self._write_block(task.number)
        self._read += sum(len(answer) for answer in answers if isinstance(answer, bytes))
        if task.kind is None:
            self._ledger.ignore(task.input)
        for batch in batches:
            if isinstance(batch, Batch):
                self._take(task, batch)
            else:
                self._ledger.judge(task, Verdict(batch.reason, batch.detail))

    def finish(self, fingerprint: str, inputs: Inputs) -> Manifest:
        """Write what is left, and the manifest last; BadData if no game was accepted."""
        self._ledger.close_file()
        if self._block.games:
            self._write_shards()
        rejects = self._publish_rejects()
        sums = self.sums
        if not sums.accepted:
            raise BadData(
                f"no {self._config.game} game of {self._config.source} was accepted: "
                f"{sums.commonest() or 'it holds none'}; {sums.ignored} other files passed over",
                hint=f"{rejects.key} has the reason for every input",
            )
        manifest = Manifest(
            game=self._config.game,
            name=self._config.name,
            fingerprint=fingerprint,
            encoding=self._config.encoding(),
            encoding_sha256=self._config.encoding_sha256(),
            inputs=inputs,
            columns={name: dtype.str for name, dtype in COLUMNS[self._config.game].items()},
            splits=self._note.splits,
            accepted=sums.accepted,
            rejects=dict(sorted(sums.rejects.items())),
            rejects_file=rejects,
            clipped=dict(sorted(sums.clipped.items())),
            missing=dict(sorted(sums.missing.items())),
        )
        try:
            text = manifest.model_dump_json(indent=1)
            self._store.put(f"{self._key}/manifest.json", text.encode(), only_if=ABSENT)
        except Conflict:
            logger.info("another run finished the same data set first")
        self._forget()
        return manifest

    def _resume(self) -> _Note:
        empty = _Note(splits={name: SplitInfo() for name in SPLITS}, sums=Sums())
        try:
            note = _Note.model_validate_json(self._store.get(f"{self._key}/progress/note.json"))
        except (NotFound, ValidationError):
            return empty
        shards = [shard for split in note.splits.values() for shard in split.shards]
        for info in [*shards, *note.parts]:
            entry = self._store.head(info.key)
            if entry is None or entry.size != info.size:
                logger.info("starting over: %s of an earlier run is gone", info.key)
                return empty
        logger.info("going on behind %d tasks (%d games)", note.tasks, note.sums.games)
        return note

    def _batch(self, answer: bytes | Rejected) -> Batch | Rejected:
        if isinstance(answer, Rejected):
            return answer
        try:
            return unpack_games(self._config.game, answer)
        except Rejected as rejected:
            return rejected

    def _full(self, more: int) -> bool:
        """Whether ``more`` bytes do not fit; the first block keeps the three games it needs."""
        size = self._config.shard_mb * 1e6
        if not self._note.parts and self._block.games < len(SPLITS):
            return False
        if self._read > READ * size:
            return True
        return self._block.games > 0 and self._block.bytes + more > size

    def _take(self, task: Task, batch: Batch) -> None:
        new = self._seen.add(batch.identity)
        accepted = 0
        for verdict in batch.verdicts:
            if verdict.reason is not None:
                self._ledger.judge(task, verdict)
                continue
            identity = bytes(batch.identity[accepted]).hex()
            if new[accepted]:
                self._ledger.judge(task, verdict, identity, int(batch.lengths[accepted]))
            else:
                again = f"identity {identity} was there before"
                self._ledger.judge(task, Verdict(Reason.DUPLICATE, again))
            accepted += 1
        if new.any():
            self._block.add(batch, new)

    def _write_block(self, tasks: int) -> None:
        number = len(self._note.parts) // 2
        self._write_shards()
        ids = self._put(f"progress/{number:05d}.ids", self._block.identity())
        rows = self._put(f"progress/{number:05d}.jsonl", self._ledger.take())
        self._note.parts += [ids, rows]
        self._note.tasks = tasks
        self._put("progress/note.json", self._note.model_dump_json().encode())
        self._block = Block()
        self._read = 0

    def _write_shards(self) -> None:
        names = {
            name: f"{self._key}/shards/{name}-{len(info.shards):05d}.safetensors"
            for name, info in self._note.splits.items()
        }
        first = not self._note.parts
        shards = self._block.write(
            self._store, names, self._scratch, self._config.split, first=first
        )
        for name, shard in shards.items():
            split = self._note.splits[name]
            split.shards.append(shard)
            split.games += shard.games
            split.rows += shard.rows

    def _put(self, name: str, data: bytes) -> FileInfo:
        key = f"{self._key}/{name}"
        self._store.put(key, data)
        return FileInfo(key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def _publish_rejects(self) -> FileInfo:
        path, key = self._scratch / "rejects.jsonl", f"{self._key}/rejects.jsonl"
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for data in [*map(self._part, self._note.parts[1::2]), self._ledger.take()]:
                file.write(data)
                digest.update(data)
        size = self._store.upload(path, key).size
        return FileInfo(key=key, size=size, sha256=digest.hexdigest())

    def _part(self, info: FileInfo) -> bytes:
        return self._store.get(info.key, sha256=info.sha256)

    def _forget(self) -> None:
        for entry in list(self._store.list(f"{self._key}/progress/")):
            self._store.delete(entry.key)
