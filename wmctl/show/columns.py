"""Tables without lines: as wide as the terminal, or as wide as they need where there is none."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

WIDE = 1000
"""Columns of a pipe or file: what reads it must find a key in one piece."""


def columns(*titles: str, wrap: str = "") -> Table:
    """An empty table; only the column ``wrap`` breaks its lines."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, no_wrap=title != wrap, overflow="fold")
    return table


def show(table: Table) -> None:
    """Print a table."""
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDE).print(table)
