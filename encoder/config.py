"""Settings of the encode stage; importing this loads no reader."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wm.games.chess.options import ChessOptions
from wm.games.melee.options import MeleeOptions


class SplitShares(BaseModel):
    """How games are shared out, by a hash of their identity."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    val: float = Field(0.05, ge=0, lt=1)
    """Share of games for validation while training."""
    test: float = Field(0.05, ge=0, lt=1)
    """Share of games that only the arena sees."""
    salt: str = ""
    """Another salt is another split."""

    @model_validator(mode="after")
    def _something_to_train_on(self) -> SplitShares:
        if self.val + self.test >= 1:
            raise ValueError("val and test together must leave a share to train on")
        return self


class EncodeConfig(BaseModel):
    """Raw games in, a data set out."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    game: Literal["melee", "chess"]
    """Which game's files are read; other files of the source are listed as ignored."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the data set."""
    source: str
    """A folder, a file, an archive, ``raw:NAME`` (what ``wmctl data push`` put into the run's own
    store), ``s3://bucket/prefix``, or ``made:COUNT?seed=N``."""
    split: SplitShares = SplitShares()
    """Shares of validation and test games."""
    shard_mb: float = Field(64.0, gt=0, le=4096)
    """Games in memory before they are written, in MB (10^6 bytes): the size of a shard, and what
    the stage's memory depends on."""
    workers: int = Field(0, ge=0)
    """Processes of each pod that parse; 0 for one per core."""
    pods: int = Field(1, ge=1)
    """Pods that parse on a cluster; one machine ignores it; the data set does not depend on it.
    Every pod reads through all of a source that is one stream, and parses its share."""
    inventory: bool = False
    """Only count what would be accepted and what rejected; no data set is made."""
    timeout_s: float = Field(60.0, gt=0)
    """Seconds after which the parsing of one input is given up."""
    melee: MeleeOptions = MeleeOptions()
    """Which replays are accepted."""
    chess: ChessOptions = ChessOptions()
    """Which chess games are accepted."""

    @property
    def cpus(self) -> int:
        """Processor cores that the stage keeps busy."""
        return self.workers or os.cpu_count() or 1

    def encoding(self) -> dict[str, Any]:
        """What decides the bytes of the data set, and nothing else; plain JSON values."""
        kept = self.model_dump(include={"game", "split", "shard_mb", self.game})
        plain: dict[str, Any] = json.loads(json.dumps(kept, sort_keys=True, default=sorted))
        return plain

    def encoding_sha256(self) -> str:
        """Hex digest of :meth:`encoding`."""
        return hashlib.sha256(json.dumps(self.encoding(), sort_keys=True).encode()).hexdigest()
