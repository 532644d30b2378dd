"""``wmctl data``: data sets in the store, and raw files before they are encoded."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wm.artifacts.dataset import Manifest, list_datasets, load_manifest, verify_dataset
from wm.errors import InputMissing
from wm.store import Store, open_store
from wmctl.plan.words import did_you_mean
from wmctl.show import phrases
from wmctl.show.columns import columns, show


@click.group()
def command() -> None:
    """List, show and verify data sets; take stock of raw files.

    \b
    Examples:
      wmctl data inventory replays/ games.pgn.xz
      wmctl data verify chess
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_data(store: str, as_json: bool) -> None:
    """List the data sets in the store."""
    opened = open_store(store)
    manifests = [load_manifest(opened, key) for key in list_datasets(opened)]
    if as_json:
        click.echo("[" + ",\n".join(m.model_dump_json() for m in manifests) + "]")
        return
    if not manifests:
        click.echo(f"there are no data sets in {opened.url}")
        return
    table = columns("data set", "game", "games", "rows", "size", "rejected")
    for m in manifests:
        rows = sum(split.rows for split in m.splits.values())
        table.add_row(
            m.key,
            m.game,
            f"{m.accepted:,}",
            f"{rows:,}",
            phrases.size(m.bytes),
            f"{sum(m.rejects.values()):,}",
        )
    show(table)


@command.command("show")
@click.argument("dataset")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_data(store: str, dataset: str, as_json: bool) -> None:
    """Show what a data set holds.

    DATASET is a key, or a name or fingerprint where that is enough.
    """
    opened = open_store(store)
    manifest = load_manifest(opened, _find(opened, dataset))
    if as_json:
        click.echo(manifest.model_dump_json(indent=1))
        return
    _show(manifest)


@command.command("verify")
@click.argument("datasets", nargs=-1)
@click.pass_obj
def verify_data(store: str, datasets: tuple[str, ...]) -> None:
    """Compare every byte with the manifests.

    Reads DATASETS, or all that are in the store.
    """
    opened = open_store(store)
    keys = [_find(opened, name) for name in datasets] or list(list_datasets(opened))
    for key in keys:
        manifest = verify_dataset(opened, key)
        click.echo(f"{key}: {phrases.size(manifest.bytes)} as the manifest says")
    if not keys:
        click.echo(f"there are no data sets in {opened.url}")


@command.command("inventory")
@click.argument("paths", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inventory_data(paths: tuple[str, ...], as_json: bool) -> None:
    """Count the games in raw files, before they are encoded.

    Says what would be rejected and why. Nothing is written.
    """
    from encoder.inventory import inventory

    found = inventory([_existing(path) for path in paths])
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    click.echo(found.summary())


def _existing(path: str) -> str:
    if not path.startswith("s3://") and not Path(path).exists():
        raise InputMissing(f"there is no file or folder {path}")
    return path


def _find(store: Store, name: str) -> str:
    keys = list(list_datasets(store))
    wanted = name.removeprefix("datasets/").strip("/")
    found = [k for k in keys if wanted in (k.removeprefix("datasets/"), *k.split("/")[1:])]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputMissing(f"{name!r} means {len(found)} data sets", hint=", ".join(found))
    raise InputMissing(
        f"there is no data set {name!r}{did_you_mean(wanted, keys)}",
        hint="wmctl data list shows what there is",
    )


def _show(manifest: Manifest) -> None:
    click.echo(manifest.key)
    inputs = manifest.inputs
    click.echo(f"inputs: {inputs.count} ({phrases.size(inputs.bytes)}): {', '.join(inputs.names)}")
    for name, split in manifest.splits.items():
        click.echo(
            f"{name}: {split.games:,} games, {split.rows:,} rows, "
            f"{phrases.count(len(split.shards), 'shard')}"
        )
    for title in ("rejects", "clipped", "missing"):
        counts = getattr(manifest, title)
        if counts:
            click.echo(f"{title}: " + ", ".join(f"{k} {v:,}" for k, v in counts.items()))
    click.echo(f"encoding: {json.dumps(manifest.encoding, sort_keys=True)}")
