"""``wmctl data``: data sets in the store, and raw files before they are encoded."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wm.artifacts.dataset import Manifest, list_datasets, load_manifest, verify_dataset
from wm.artifacts.raw import verify_raw
from wm.errors import InputMissing
from wm.store import Store, open_store
from wmctl.cli.raw import list_raw_sets, prune_data, push_data
from wmctl.plan.words import did_you_mean
from wmctl.show import phrases
from wmctl.show.columns import columns, show


@click.group()
def command() -> None:
    """Push raw files; list, show and verify data.

    \b
    Examples:
      wmctl data inventory replays/ games.pgn.xz
      wmctl data push replays/ melee/mine
      wmctl data verify chess
    """


command.add_command(push_data)
command.add_command(prune_data)


@command.command("list")
@click.option("--raw", is_flag=True, help="Only raw sets, which `data push` made.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: data sets, or with --raw those.")
@click.pass_obj
def list_data(store: str, raw: bool, as_json: bool) -> None:
    """List the data sets and raw sets in the store."""
    opened = open_store(store)
    if not raw:
        _list_datasets(opened, as_json)
    if raw or not as_json:
        list_raw_sets(opened, as_json=as_json, or_none=raw)


def _list_datasets(opened: Store, as_json: bool) -> None:
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

    Reads DATASETS (raw sets as raw:NAME), or all data sets that are in the store.
    """
    opened = open_store(store)
    raw = [name.removeprefix("raw:") for name in datasets if name.startswith("raw:")]
    for name in raw:
        found = verify_raw(opened, name)
        click.echo(f"raw:{name}: {phrases.size(found.bytes)} as the manifest says")
    if raw and len(raw) == len(datasets):
        return
    keys = [_find(opened, n) for n in datasets if not n.startswith("raw:")]
    keys = keys or list(list_datasets(opened))
    for key in keys:
        manifest = verify_dataset(opened, key)
        click.echo(f"{key}: {phrases.size(manifest.bytes)} as the manifest says")
    if not keys:
        click.echo(f"there are no data sets in {opened.url}")


@command.command("inventory")
@click.argument("paths", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def inventory_data(store: str, paths: tuple[str, ...], as_json: bool) -> None:
    """Count the games in raw files, before they are encoded.

    Says what would be rejected and why. Nothing is written.
    """
    from encoder.inventory import inventory

    raw = any(path.startswith("raw:") for path in paths)
    opened = open_store(store) if raw else None
    found = inventory([_existing(path) for path in paths], store=opened)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
        return
    click.echo(found.summary())


def _existing(path: str) -> str:
    if not path.startswith(("s3://", "raw:")) and not Path(path).exists():
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
