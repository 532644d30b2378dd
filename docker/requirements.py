"""Prints what one of the images has to install: ``python requirements.py trainer[,EXTRA...]``.

Reads ``pyproject.toml`` beside it. The list is all that the layers of packages depend on, so a
change of code, version or tool settings leaves them alone.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any


def requirements(project: dict[str, Any], chosen: str = "") -> list[str]:
    """The project's own requirements and those of the chosen extras, ``a,b``, sorted.

    ``name[extra]`` is resolved. Raises KeyError for an extra that does not exist.
    """
    extras, own = project["optional-dependencies"], re.compile(rf"{project['name']}\[(.+)\]")
    found, waiting = set(project["dependencies"]), [extra for extra in chosen.split(",") if extra]
    while waiting:
        for requirement in extras[waiting.pop()]:
            if match := own.fullmatch(requirement):
                waiting += match[1].split(",")
            else:
                found.add(requirement)
    return sorted(found)


if __name__ == "__main__":
    declared = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text())
    print(*requirements(declared["project"], *sys.argv[1:]), sep="\n")  # noqa: T201
