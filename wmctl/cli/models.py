"""``wmctl models``: trained models and their aliases."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from wm.artifacts.model import ModelCard, load_card, publish_model, read_aliases, set_alias
from wm.errors import BadConfig, BadData, InputMissing, WmError, explain
from wm.store import NotFound, Store, open_store
from wmctl.plan.words import did_you_mean
from wmctl.show.columns import columns, show

IMPORTED = "imported"
"""Run of the models that came from outside."""

_PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}


@click.group()
def command() -> None:
    """List, show, promote and import models.

    \b
    Examples:
      wmctl models list
      wmctl models promote models/chess/demo-1122-k3f9.train-chess-winner.1a2b3c4d champion
      wmctl models import base.safetensors --config base.yaml --as base
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
        step = "–" if card.run == IMPORTED else str(card.step)
        table.add_row(card.key, card.kind, f"{card.parameters:,}", step, made, ", ".join(own))
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
    _point(opened, _find(opened, model), alias)


@command.command("import")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--name", help="Models it belongs to. Default: its game, where plans look.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML or JSON of its network: kind: lstm ... Default: the file's own metadata.",
)
@click.option("--as", "alias", help="Alias to point at it, such as base.")
@click.option(
    "--game", type=click.Choice(["chess", "melee"]), help="Default: the game of its kind."
)
@click.option("--about", default="", help="Where it comes from, for its card.")
@click.pass_obj
def import_model(
    store: str,
    weights: Path,
    name: str | None,
    config: Path | None,
    alias: str | None,
    game: str | None,
    about: str,
) -> None:
    """Register the reference model in WEIGHTS, a .safetensors file.

    Its tensors must be exactly those of the network that the configuration describes. Importing a
    file again changes nothing, but may give it another alias.

    \b
    Examples:
      wmctl models import base.safetensors --config base.yaml --as base
      wmctl models import cloud.safetensors --as cloud_fulltrain --about "trained in May"
    """
    if name is not None:
        _check_name(name)
    data = _read_weights(weights)
    checked = _check(weights, config, game)
    sha256 = hashlib.sha256(data).hexdigest()
    if checked["sha256"] != sha256:
        raise BadData(
            f"{weights} changed while it was imported", hint="import it again when it is whole"
        )
    opened = open_store(store)
    name = name or str(checked["game"])
    card = _imported(opened, name, sha256, checked)
    if card:
        click.echo(f"{card.key} holds these weights already")
    else:
        card = publish_model(
            opened,
            data,
            name=name,
            game=checked["game"],
            config=checked["config"],
            parameters=checked["parameters"],
            data="",
            data_fingerprint="",
            run=IMPORTED,
            stage=re.sub(r"[^a-z0-9]+", "-", (alias or weights.stem).lower()).strip("-") or "model",
            step=0,
            metrics={},
            training={"imported": weights.name, "sha256": sha256, "about": about},
        )
        click.echo(f"{card.key}: {card.kind} of {card.game}, {card.parameters:,} parameters")
    if alias:
        _point(opened, card, alias)


def _point(store: Store, card: ModelCard, alias: str) -> None:
    aliases, tag = read_aliases(store, card.name)
    before = aliases.get(alias)
    if before == card.version:
        click.echo(f"{card.name}/{alias} is {card.version} already")
        return
    set_alias(store, card.name, alias, card.version, tag)
    was = f" (was {before})" if before else ""
    click.echo(f"{card.name}/{alias} is {card.version} now{was}")


def _read_weights(path: Path) -> bytes:
    if path.suffix.lower() in _PICKLES:
        target = path.with_suffix(".safetensors").name
        raise BadData(
            f"{path} is a pickle, and opening a pickle runs whatever code its writer put in, so "
            "wmctl never does",
            hint="where you trust the file, write it anew and import that (import torch, "
            "safetensors.torch first):\n"
            f"  state = torch.load({path.name!r}, map_location='cpu', weights_only=True)\n"
            "  safetensors.torch.save_file({name: t.contiguous() for name, t in state.items()}, "
            f"{target!r})",
        )
    if path.suffix.lower() != ".safetensors":
        raise BadData(
            f"{path} is no .safetensors file", hint="write one with safetensors.torch.save_file"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputMissing(
            f"{path} cannot be read: {error.strerror}", hint="give the file of the weights"
        ) from error


def _check(weights: Path, config: Path | None, game: str | None) -> dict[str, Any]:
    """What the check, a process because it needs torch, says about the weights."""
    words = [sys.executable, "-m", "wm.models.check_weights", str(weights)]
    if config:
        words += ["--config", json.dumps(_read_config(config), default=str)]
    if game:
        words += ["--game", game]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        code = 128 - done.returncode if done.returncode < 0 else done.returncode
        last = done.stderr.strip().splitlines()[-1:]
        raise WmError(
            f"the check of {weights} broke off: {''.join(last) or explain(code)}",
            hint="import where there is more memory, or report it",
        ) from error
    if "error" in answer:
        refused = WmError(answer["error"], answer["hint"])
        refused.code = done.returncode
        raise refused
    return answer


def _read_config(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputMissing(
            f"{path} cannot be read: {error.strerror}", hint="give the file of the configuration"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"{path} is no YAML: {' '.join(str(error).split())}", hint="write kind: lstm and so on"
        ) from error
    if not isinstance(tree, dict):
        raise BadConfig(f"{path} is not a mapping of keys", hint="write kind: lstm and so on")
    return tree


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise BadConfig(
            f"{name!r} cannot be a model's name", hint="use letters, digits, '.', '_' and '-'"
        )


def _imported(store: Store, name: str, sha256: str, checked: dict[str, Any]) -> ModelCard | None:
    """The model of that name that was imported with these very weights, if there is one."""
    for entry in store.list(f"models/{name}/{IMPORTED}."):
        folder, _, file = entry.key.rpartition("/")
        if file != "model.json" or (card := load_card(store, folder)).weights.sha256 != sha256:
            continue
        # Its card may lack what configurations have learnt since.
        if checked["config"] | card.config != checked["config"]:
            raise BadConfig(
                f"{card.key} holds these weights with another configuration, {card.config}",
                hint="give that configuration, or another --name",
            )
        return card
    return None


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
