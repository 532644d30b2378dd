"""``python -m wm.models.check_weights FILE``: whether a safetensors file is a model of ours.

A process of its own because ``wmctl`` has no torch. Prints one JSON object: game, resolved
configuration, parameters and SHA-256, or the error and its hint.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wm.errors import BadConfig, BadData, InputMissing, WmError, first_problem
from wm.models.config import LSTMConfig, ModelConfig

_SHOWN = 3
"""Tensors that an error names before it only counts."""


def main(argv: list[str] | None = None) -> int:
    """0, or the error's exit code."""
    parser = argparse.ArgumentParser(prog="wm.models.check_weights", description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--config", help="JSON; else the file's own, metadata key 'config'")
    parser.add_argument("--game", choices=["chess", "melee"], help="else that of the kind")
    args = parser.parse_args(argv)
    try:
        answer = check(args.weights, args.config, args.game)
    except WmError as error:
        answer, code = {"error": error.message, "hint": error.hint}, error.code
    else:
        code = 0
    sys.stdout.write(json.dumps(answer) + "\n")
    return code


def check(path: Path, config: str | None = None, game: str | None = None) -> dict[str, Any]:
    """Build the network of the configuration and put every tensor of the file in its place.

    Errors: :class:`BadConfig` where there is no such network, :class:`BadData` where the tensors
    are not exactly its own or hold numbers that are none, :class:`InputMissing` without torch.
    """
    try:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load

        from wm.games.chess.vocabulary import SIZE
        from wm.models.build import build, count_parameters
    except ModuleNotFoundError as error:
        raise InputMissing(
            f"{error.name} is not installed here, and weights cannot be checked without it",
            hint="install the extra wmctl[train], or import where the trainer runs",
        ) from error
    data = path.read_bytes()
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadData(
            f"{path.name} cannot be read as safetensors: {error}",
            hint="write it with safetensors.torch.save_file",
        ) from error
    shape = _config(path, config if config is not None else _metadata(data).get("config"))
    game = game or ("chess" if isinstance(shape, LSTMConfig) else "melee")
    module = build(shape, game)
    moves = tensors.get("embedding.weight")
    if game == "chess" and moves is not None and len(moves) != SIZE:
        raise BadData(
            f"{path.name} knows {len(moves):,} moves and ours are {SIZE:,}: its move vocabulary "
            "differs, so its numbers stand for other moves",
            hint="train it again on a data set of wmctl; weights of another vocabulary cannot play",
        )
    wanted = module.state_dict()
    if problems := [
        problem
        for name in sorted(tensors.keys() | wanted.keys())
        if (problem := _misfit(name, tensors.get(name), wanted.get(name)))
    ]:
        more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise BadData(
            f"{path.name} does not fit its configuration: {'; '.join(problems[:_SHOWN])}{more}",
            hint="correct the configuration, or rename or convert the tensors",
        )
    for name, tensor in sorted(tensors.items()):
        if bad := int((~torch.isfinite(tensor)).sum()):
            raise BadData(
                f"{path.name} holds numbers that are not finite: {bad:,} in {name}",
                hint="its training diverged or the file is damaged; take an earlier checkpoint",
            )
    module.load_state_dict(tensors)
    return {
        "game": game,
        "config": shape.model_dump(mode="json"),
        "parameters": count_parameters(module),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _metadata(data: bytes) -> dict[str, str]:
    """What the writer of a safetensors file said about it: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _config(path: Path, text: str | None) -> ModelConfig:
    if text is None:
        raise BadConfig(
            f"{path.name} does not say what network it is for",
            hint="give --config with a file such as {kind: lstm, embed: 256, hidden: 512}",
        )
    adapter: TypeAdapter[ModelConfig] = TypeAdapter(ModelConfig)
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise BadConfig(
            f"the configuration of {path.name} is none of a model: {first_problem(error)}",
            hint="kinds are lstm (chess), mlp and mamba2 (melee); see wm/models/config.py",
        ) from error


def _misfit(name: str, found: Any, wanted: Any) -> str:
    """What is wrong with one tensor; empty where nothing is."""
    if found is None:
        return f"{name} is missing"
    if wanted is None:
        return f"{name} is unexpected"
    if found.shape != wanted.shape:
        return f"{name} has shape {tuple(found.shape)} instead of {tuple(wanted.shape)}"
    if found.dtype != wanted.dtype:
        return f"{name} is {found.dtype} instead of {wanted.dtype}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
