"""The command line that every stage has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel

from wm.errors import Exit
from wm.stage.settings import describe


class Arguments(argparse.Namespace):
    """What a stage process is told."""

    spec: str
    """Address of the attempt's ``spec.json``."""
    once: bool
    """Refuse an attempt that another process has begun."""


def parse(kind: str, argv: Sequence[str], settings: type[BaseModel] | None) -> Arguments:
    """Read the command line; ``--help`` lists the fields of ``settings``."""
    parser = _Parser(
        prog=f"python -m {Path(sys.argv[0]).parent.name}",
        description=f"Run one {kind} attempt of a wmctl run from its spec.",
        epilog=describe(settings) if settings else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--spec", required=True, help="address of the attempt's spec.json")
    parser.add_argument(
        "--once", action="store_true", help="refuse an attempt that another process has begun"
    )
    return parser.parse_args(argv, Arguments())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """argparse would end with 2, which is outside the contract."""
        self.print_usage(sys.stderr)
        self.exit(Exit.BAD_CONFIG, f"error: {message}\n")
