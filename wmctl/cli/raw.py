"""``wmctl data push``, ``prune`` and the list of raw sets."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import timedelta
from pathlib import Path

import click

from wm.artifacts.raw import list_raw
from wm.errors import Exit, StoreUnreachable
from wm.store import Store, open_store
from wm.store.send import open_sender
from wmctl.show import phrases
from wmctl.show.columns import columns, show
from wmctl.transfer.progress import show_progress
from wmctl.transfer.push import Pushed, push


@click.command("push")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--replace", is_flag=True, help="Replace files that are there with other content.")
@click.pass_obj
def push_data(store: str, sources: tuple[Path, ...], name: str, replace: bool) -> None:
    """Bring SOURCES (files, archives, folders) into the store as the raw set NAME.

    Nothing is unpacked; a folder's files are named relative to it. After a broken line, a kill or
    Ctrl-C the same command goes on where it stopped. A raw set can be pushed to again: files are
    added, those that are there already are not sent. Every byte is checked on its way.

    \b
    Examples:
      wmctl data push ranked.tar melee/ranked
      wmctl data push replays/ melee/mine
      wmctl data push 2024.pgn.zst 2025.pgn.zst chess/lichess
    """
    opened = open_store(store)
    try:
        with show_progress() as progress:
            pushed = push(opened, list(sources), name, progress, replace=replace)
    except StoreUnreachable as error:
        error.hint = error.hint.replace("submit again", "push again: it goes on where it stopped")
        raise
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on from here, what arrived is kept", err=True)
        # Threads may hang in a slow line for minutes, and a killed push loses nothing.
        os._exit(Exit.PREEMPTED)
    _tell(pushed)


@click.command("prune")
@click.option(
    "--older-than",
    "age",
    default="7d",
    show_default=True,
    callback=lambda context, option, value: parse_age(value),
    help="Only what was begun so long ago: 12h, 7d.",
)
@click.option("--dry-run", is_flag=True, help="Only list them.")
@click.pass_obj
def prune_data(store: str, age: timedelta, dry_run: bool) -> None:
    """Remove uploads of raw files that broke off and that nobody went on with.

    A bucket keeps their parts, invisible and paid for. Pushing them again would go on with them.
    """
    opened = open_store(store)
    with open_sender(opened, lambda count, sent: None) as sender:
        latest = time.time() - age.total_seconds()
        old = [upload for upload in sender.unfinished("raw") if upload.started <= latest]
        for upload in old:
            begun = phrases.duration(time.time() - upload.started)
            click.echo(f"{upload.key}, begun {begun} ago")
            if not dry_run:
                sender.abort(upload)
    what = phrases.count(len(old), "unfinished upload")
    click.echo(f"{what} {'found' if dry_run else 'removed'}")


def list_raw_sets(store: Store, *, as_json: bool, or_none: bool) -> None:
    """Print a table of raw sets; ``or_none`` says so where there are none."""
    manifests = list(list_raw(store))
    if as_json:
        rows = [
            {"name": m.name, "files": len(m.files), "bytes": m.bytes, "created": m.created}
            for m in manifests
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    if not manifests:
        if or_none:
            click.echo(f"there are no raw sets in {store.url}")
        return
    table = columns("raw set", "files", "size", "pushed")
    for m in manifests:
        pushed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(m.created))
        table.add_row(f"raw:{m.name}", f"{len(m.files):,}", phrases.size(m.bytes), pushed)
    show(table)


def parse_age(text: str) -> timedelta:
    """``90s``, ``30m``, ``12h`` or ``7d``."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no age; write 30m, 12h or 7d")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _tell(pushed: Pushed) -> None:
    name = pushed.manifest.name
    what = f"{phrases.count(pushed.files, 'file')}, {phrases.size(pushed.bytes)}"
    kept = pushed.bytes - pushed.sent
    if not pushed.sent:
        what += "; all of it was there already"
    elif kept:
        what += f"; {phrases.size(pushed.sent)} sent, {phrases.size(kept)} was there already"
    click.echo(f"raw:{name}: {what}")
    whole = pushed.manifest
    if len(whole.files) > pushed.files:
        click.echo(f"the raw set now has {len(whole.files):,} files, {phrases.size(whole.bytes)}")
    click.echo(f"in a plan:  source: raw:{name}")
    game = name.split("/")[0]
    click.echo(f"or:         wmctl submit PLAN --data {game}=raw:{name}")
