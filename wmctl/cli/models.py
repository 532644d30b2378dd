"""``wmctl models``: trained models and their aliases."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from wm.artifacts.model import ModelCard, load_card, read_aliases, set_alias
from wm.errors import InputMissing
from wm.store import NotFound, Store, open_store
from wmctl.plan.words import did_you_mean
from wmctl.show.columns import columns, show


@click.group()
def command() -> None:
    """List, show and promote models.

    \b
    Examples:
      wmctl models list
      wmctl models promote models/chess/demo-1122-k3f9.train-chess-winner.1a2b3c4d champion
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_models(store: str, as_json: bool) -> None:
    """List the models in the store, the newest first."""
    opened = open_store(store)
    cards = sorted(_cards(opened), key=lambda card: card.created, reverse=True)
    if as_json:
        click.echo("[" + ",\n".join(card.model_dump_json() for card in cards) + "]")
        return
    if not cards:
        click.echo(f"there are no models in {opened.url}")
        return
    table = columns("model", "kind", "parameters", "step", "made", "aliases", wrap="model")
    aliases = {name: read_aliases(opened, name)[0] for name in {card.name for card in cards}}
    for card in cards:
        own = [alias for alias, version in aliases[card.name].items() if version == card.version]
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(card.created))
        table.add_row(
            card.key, card.kind, f"{card.parameters:,}", str(card.step), made, ", ".join(own)
        )
    show(table)


@command.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_model(store: str, model: str, as_json: bool) -> None:
    """Show the card of MODEL.

    MODEL is a key, a version, or NAME/ALIAS such as chess/champion.
    """
    opened = open_store(store)
    card = _find(opened, model)
    if as_json:
        click.echo(card.model_dump_json(indent=1))
        return
    click.echo(opened.get(f"{card.key}/card.md").decode())


@command.command("promote")
@click.argument("model")
@click.argument("alias", default="champion")
@click.pass_obj
def promote_model(store: str, model: str, alias: str) -> None:
    """Let ALIAS (default: champion) mean MODEL from now on."""
    opened = open_store(store)
    card = _find(opened, model)
    aliases, tag = read_aliases(opened, card.name)
    before = aliases.get(alias)
    if before == card.version:
        click.echo(f"{card.name}/{alias} is {card.version} already")
        return
    set_alias(opened, card.name, alias, card.version, tag)
    was = f" (was {before})" if before else ""
    click.echo(f"{card.name}/{alias} is {card.version} now{was}")


def _cards(store: Store) -> Iterator[ModelCard]:
    for entry in store.list("models/"):
        parts = entry.key.split("/")
        if len(parts) == 4 and parts[3] == "model.json":
            yield load_card(store, entry.key.removesuffix("/model.json"))


def _find(store: Store, model: str) -> ModelCard:
    key = model.removeprefix("models/").strip("/")
    name, _, version = key.partition("/")
    if version:
        aliases, _ = read_aliases(store, name)
        try:
            return load_card(store, f"models/{name}/{aliases.get(version, version)}")
        except NotFound:
            pass
    cards = [card for card in _cards(store) if card.version == key]
    if len(cards) == 1:
        return cards[0]
    known = [card.key for card in _cards(store)]
    raise InputMissing(
        f"there is no model {model!r}{did_you_mean(f'models/{key}', known)}",
        hint="wmctl models list shows what there is",
    )
