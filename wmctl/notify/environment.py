"""Which webhook the environment asks for. Its address is a secret, so no error shows a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wm.errors import BadConfig
from wmctl.notify.webhook import FORMATS, Webhook

URL = "WM_WEBHOOK_URL"
"""Environment variable: the address itself. It goes before the file."""
FILE = "WM_WEBHOOK_FILE"
"""Environment variable: path of a file that holds the address, as a mounted Secret is one."""
FORMAT = "WM_WEBHOOK_FORMAT"
"""Environment variable: ``slack`` or ``plain``. Without it, a file ``format`` beside that of the
address counts, then ``slack``."""


def webhook_from_environment(environ: Mapping[str, str] = os.environ) -> Webhook | None:
    """The webhook; None where none is asked for, as by a Secret that was never made.

    Raises ``BadConfig`` that names the variable and not what it holds.
    """
    path = environ.get(FILE, "")
    if environ.get(URL, "").strip():
        url, named = environ[URL].strip(), URL
        form = environ.get(FORMAT, "")
    elif path:
        url, named = _read(path), f"the file that {FILE} names"
        if not url:
            return None
        form = environ.get(FORMAT) or _read(str(Path(path).with_name("format")))
    else:
        return None
    if form and form not in FORMATS:
        raise BadConfig(f"{FORMAT} asks for an unknown format", hint=f"say {' or '.join(FORMATS)}")
    return Webhook(url, form or FORMATS[0], named=named)


def _read(path: str) -> str:
    """What the file holds; empty for one that is not there in a folder that is.

    The volume of an optional Secret that does not exist is an empty folder. Where the folder is
    missing too, the path is wrong; it may well be the address, put into the wrong variable.
    """
    hint = f"give the path of a file; an address itself goes into {URL}"
    try:
        file = Path(path)
        if not file.parent.is_dir():
            raise BadConfig(f"{FILE} names a file in a folder that does not exist", hint=hint)
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):  # from None: these errors show the path, or what was read
        raise BadConfig(f"{FILE} names a file that cannot be read", hint=hint) from None
