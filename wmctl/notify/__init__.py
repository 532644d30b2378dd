"""People are told by webhook how an unattended run goes; the run never waits for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from wm.errors import BadConfig
from wm.store import Store
from wmctl.notify.environment import webhook_from_environment
from wmctl.notify.notifier import LINGER, Link, Notifier
from wmctl.notify.webhook import Webhook
from wmctl.run.history import Event
from wmctl.run.spec import RunSpec

__all__ = [
    "Messenger",
    "Nobody",
    "Notifier",
    "Webhook",
    "open_notifier",
    "webhook_from_environment",
]

logger = logging.getLogger("wm.notify")


class Messenger(Protocol):
    """What a conductor's command needs of a notifier, or of none."""

    def tell(self, event: Event) -> None:
        """Pass an event on; returns at once and raises nothing."""
        ...

    def close(self, timeout: float = LINGER) -> None:
        """Send what is left, for at most ``timeout`` seconds."""
        ...

    def __enter__(self) -> Messenger: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Nobody:
    """A messenger where nobody asked to be told."""

    def tell(self, event: Event) -> None:
        """Nothing."""

    def close(self, timeout: float = LINGER) -> None:
        """Nothing."""

    def __enter__(self) -> Nobody:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def open_notifier(
    store: Store,
    spec: RunSpec,
    link: Link = "",
    *,
    unattended: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Messenger:
    """The notifier that the environment asks for; :class:`Nobody` where it asks for none.

    Raises ``BadConfig`` for variables that make no webhook, except ``unattended``, where nobody is
    there to mend them: that is one warning then, and the run goes on.
    """
    try:
        hook = webhook_from_environment(environ)
    except BadConfig as error:
        if not unattended:
            raise
        logger.warning("nobody is told how %s goes: %s", spec.run, error.message)
        return Nobody()
    return Nobody() if hook is None else Notifier(store, spec, hook, link)
