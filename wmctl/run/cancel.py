"""``runs/<run>/cancel.json``: somebody wants a run to end. Its conductor looks for it."""

from __future__ import annotations

import getpass
import socket
import time

from pydantic import BaseModel, ConfigDict, ValidationError

from wm.store import NotFound, Store


class Cancel(BaseModel):
    """Who wants a run to end, and since when."""

    model_config = ConfigDict(extra="forbid")

    time: float
    """Seconds since the epoch. A submission after it takes the run up again."""
    by: str


def ask_to_cancel(store: Store, run: str) -> Cancel:
    """Leave the wish; asking again changes nothing that matters."""
    wish = Cancel(time=time.time(), by=somebody())
    store.put(_key(run), wish.model_dump_json().encode())
    return wish


def wanted(store: Store, run: str, since: float) -> Cancel | None:
    """The wish to end the run, if it is younger than ``since``, its newest submission."""
    try:
        wish = Cancel.model_validate_json(store.get(_key(run)))
    except (NotFound, ValidationError):
        return None
    return wish if wish.time >= since else None


def somebody() -> str:
    """Who is asking, for people: ``ada@desk``."""
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        return "somebody"


def _key(run: str) -> str:
    return f"runs/{run}/cancel.json"
