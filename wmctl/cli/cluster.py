"""Options of the commands that speak with a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

namespace_option = click.option(
    "--namespace",
    envvar="WM_NAMESPACE",
    default="wm",
    show_default=True,
    help="Namespace on the cluster (WM_NAMESPACE).",
)


def platform_options(command: Command) -> Command:
    """What a run is given on a cluster."""
    for option in (
        click.option(
            "--queue", envvar="WM_QUEUE", help="Kueue's local queue to wait in (WM_QUEUE)."
        ),
        click.option(
            "--images",
            envvar="WM_IMAGES",
            type=click.Path(path_type=Path, dir_okay=False),
            default=Path("k8s/images/kustomization.yaml"),
            show_default=True,
            help="Images by digest, as make push wrote them (WM_IMAGES).",
        ),
        namespace_option,
    ):
        command = option(command)
    return command
