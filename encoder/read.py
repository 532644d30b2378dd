"""The worker's side: the bytes of one input in, a packed batch of its games out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from encoder.batch import pack_games
from wm.games.chess.options import ChessOptions
from wm.games.game import Game, Rejected
from wm.games.melee.options import MeleeOptions


class Kind(StrEnum):
    """Kinds of files that hold games."""

    SLP = "slp"
    PARSED_V2 = "parsed-v2"
    PGN = "pgn"
    JSONL = "jsonl"


KINDS = {"melee": (Kind.SLP, Kind.PARSED_V2), "chess": (Kind.PGN, Kind.JSONL)}
"""Game -> kinds of its files."""

GAME = {kind: game for game, kinds in KINDS.items() for kind in kinds}
"""Kind -> its game."""

_LENGTH = 4


def request(
    kind: Kind, data: bytes | Path, *, meta: dict[str, Any] | None = None, line: int = 1
) -> bytes:
    """What a worker is asked: to read ``data``, whose first line is line ``line`` of its file."""
    header: dict[str, Any] = {"kind": kind, "meta": meta, "line": line}
    if isinstance(data, Path):
        header["path"], data = str(data), b""
    text = json.dumps(header).encode()
    return len(text).to_bytes(_LENGTH, "little") + text + data


@dataclass(frozen=True, slots=True)
class GameReader:
    """Answers requests; the reader of :class:`encoder.isolate.Isolated`."""

    melee: MeleeOptions
    chess: ChessOptions

    def __call__(self, asked: bytes) -> bytes:
        """The batch of a request's games; raises Rejected where there is no game at all."""
        end = _LENGTH + int.from_bytes(asked[:_LENGTH], "little")
        header = json.loads(asked[_LENGTH:end])
        game = GAME[header["kind"]]
        if game == "melee":
            data = Path(header["path"]) if "path" in header else asked[end:]
            return pack_games(game, [_melee(header, data, self.melee)])
        games = _chess(header["kind"], asked[end:], self.chess)
        return pack_games(game, _shifted(games, header["line"] - 1))


def _melee(header: dict[str, Any], data: bytes | Path, options: MeleeOptions) -> Game:
    if header["kind"] == Kind.SLP:
        from wm.games.melee.slp import read_slp

        return read_slp(data, options=options)
    from wm.games.melee.parsed_v2 import read_parsed_v2

    if isinstance(data, Path):
        data = data.read_bytes()
    return read_parsed_v2(data, header["meta"], options=options)


def _chess(kind: str, data: bytes, options: ChessOptions) -> Iterator[Game | Rejected]:
    if kind == Kind.PGN:
        from wm.games.chess.pgn import read_pgn

        return read_pgn(io.BytesIO(data), options=options)
    from wm.games.chess.jsonl import read_jsonl

    return read_jsonl(io.BytesIO(data), options=options)


def _shifted(outcomes: Iterable[Game | Rejected], lines: int) -> Iterator[Game | Rejected]:
    """Readers count lines within their piece; people count them within the file."""
    for outcome in outcomes:
        if isinstance(outcome, Rejected):
            detail = re.sub(r"^line (\d+)", lambda m: f"line {int(m[1]) + lines}", outcome.detail)
            outcome = Rejected(outcome.reason, detail)
        yield outcome
