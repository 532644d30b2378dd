"""Cut a stream of PGN text into games, one at a time, however untidy the text is."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_CHARS = 1 << 20
"""Longer games are not kept: no game of chess is, so the text is something else."""

_HEADER = re.compile(r'\s*\[\s*([A-Za-z0-9_]+)\s+"(?:((?:[^"\\]|\\.)*"\s*\])|.*)')
_MARK = re.compile(
    r"\{[^}]*\}?"  # a comment, perhaps open at the end of the line
    r"|;.*"
    r"|[()]"
    r"|(?<![^\s)}])(?:1-0|0-1|1/2-1/2|\*)(?![^\s({;\[])"
)
_COMMENT = re.compile(r"\{[^}]*\}?|;.*")


@dataclass(frozen=True, slots=True)
class GameText:
    """The text of one game, as it stood in the stream."""

    line: int
    """Line of the stream that it begins on, counted from 1."""
    headers: str
    movetext: str
    oversize: bool = False
    """It grew beyond ``MAX_CHARS`` and its text was dropped."""


def split_games(stream: BinaryIO) -> Iterator[GameText]:
    """Yield the games of a PGN stream in order, holding one game at a time.

    A game ends with its result, where the next header begins, or with the stream; blank lines mean
    nothing. Any line ending, a byte-order mark and bytes that are not UTF-8 are accepted, and a
    comment that is never closed ends before the next ``[Event``. Text that is no chess at all
    comes out as a game too, for the reader to reject.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline=None)
    try:
        yield from _split(text)
    finally:
        text.detach()  # the stream belongs to the caller, who closes it


def _split(text: io.TextIOWrapper) -> Iterator[GameText]:
    game = _Collector()
    number, blank = 1, False
    while line := text.readline(MAX_CHARS):
        rest = "" if line.startswith("%") and not game.in_comment else line
        while rest.strip():
            header = _HEADER.match(rest)
            if header and game.may_hold(header[1]):
                if game.ends_before(header[1], blank):
                    yield game.take()
                game.add_header(number, header[1], header[0])
                rest = rest[header.end() :]
            elif end := game.add_moves(number, rest):
                yield game.take()
                rest = rest[end:]
            else:
                break
        blank = not line.strip()
        number += line.endswith("\n")
    if game.begun:
        yield game.take()


class _Collector:
    """The game being read."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.begun = False
        self.in_comment = False
        self._depth = 0  # of variations
        self._line = 0
        self._headers: list[str] = []
        self._tags: set[str] = set()
        self._moves: list[str] = []
        self._moving = False
        self._size = 0

    def may_hold(self, tag: str) -> bool:
        """Whether a line that looks like a header is one here: inside a comment it is text."""
        return not self.in_comment or tag == "Event"

    def ends_before(self, tag: str, blank: bool) -> bool:
        """Whether a header of this name belongs to the next game."""
        ended = self._moving or self.in_comment or (blank and tag in self._tags)
        return self.begun and ended

    def add_header(self, number: int, tag: str, text: str) -> None:
        if not self.begun:
            self._clear()  # of comments between games
        self._begin(number)
        self._tags.add(tag)
        self._keep(self._headers, f"{text.strip()}\n")

    def add_moves(self, number: int, line: str) -> int:
        """Take movetext; returns where the game's result ends in ``line``, 0 if it goes on."""
        start = 0
        if self.in_comment:
            start = line.find("}") + 1
            if not start:
                self._keep(self._moves, line)
                return 0
            self.in_comment = False
        if not self._moving and _COMMENT.sub("", line[start:]).strip():
            self._begin(number)
            self._moving = True
        end = self._result_end(line, start)
        self._keep(self._moves, line[:end] if end else line)
        return end

    def _result_end(self, line: str, start: int) -> int:
        for mark in _MARK.finditer(line, start):
            sign = mark[0]
            if sign[0] == "{":
                self.in_comment = sign[-1] != "}"
            elif sign == "(":
                self._depth += 1
            elif sign == ")":
                self._depth = max(0, self._depth - 1)
            elif sign[0] != ";" and not self._depth:
                return mark.end()
        return 0

    def take(self) -> GameText:
        """The game collected so far; the next one begins empty."""
        oversize = self._size > MAX_CHARS
        game = GameText(self._line, "".join(self._headers), "".join(self._moves), oversize)
        self._clear()
        return game

    def _begin(self, number: int) -> None:
        if not self.begun:
            self.begun, self._line = True, number

    def _keep(self, lines: list[str], line: str) -> None:
        self._size += len(line)
        if self._size > MAX_CHARS:
            self._headers.clear()
            self._moves.clear()
        else:
            lines.append(line)
