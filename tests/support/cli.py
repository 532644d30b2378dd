"""``wmctl`` in this process, for commands that start no stage."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmctl.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON: NaN and Infinity are refused."""
        return json.loads(self.out, parse_constant=_refuse)


def wmctl(store: Path | str, *words: str) -> Answer:
    """Run a command as the entry point does."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["--store", str(store), *words])
        except SystemExit as end:
            code = int(end.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
