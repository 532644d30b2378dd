"""From a plan's name or path, ``--data`` and ``--set`` to a checked :class:`Plan`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from wm.errors import BadConfig, InputMissing, first_problem
from wmctl.plan.expand import only, scale_of, write_out
from wmctl.plan.model import Plan
from wmctl.plan.words import did_you_mean

_SHIPPED = resources.files("wmctl") / "plans"


def load_plan(
    name: str,
    *,
    data: Sequence[str] = (),
    sets: Sequence[str] = (),
    stages: Sequence[str] = (),
) -> Plan:
    """Read a shipped plan by name or a YAML file by path, then apply overrides.

    ``data`` holds ``NAME=SOURCE``, ``sets`` holds ``a.b=c`` with c in YAML; what they say counts
    more than the plan's scale. ``stages`` are those that are wanted, all where it is empty.
    Raises :class:`InputMissing` and :class:`BadConfig`.
    """
    tree = _read(name)
    scale = next((s.partition("=")[2] for s in reversed(sets) if s.startswith("scale=")), None)
    for key, value in scale_of(tree, scale).items():
        for path in _paths(key):
            _assign(tree, path, deepcopy(value), f"scale {scale or tree.get('scale')}: {key}")
    for assignment in data:
        key, source = _split(assignment, "--data")
        known = tree.get("data")
        if not isinstance(known, dict):
            known = {}
        if key not in known:
            raise BadConfig(
                f"plan {name} has no data named {key!r}{did_you_mean(key, known)}",
                hint=f"its data: {', '.join(known) or 'none'}",
            )
        _assign(tree, ["data", key, "source"], _absolute(source, Path()), f"--data {assignment}")
    for assignment in sets:
        key, value = _split(assignment, "--set")
        value = _parse(value, f"--set {assignment}")
        for path in _paths(key):
            _assign(tree, path, deepcopy(value), f"--set {assignment}")
    try:
        plan = Plan.model_validate(tree)
    except ValidationError as error:
        raise BadConfig(f"plan {name}: {explain_validation(error, Plan)}") from error
    for games in plan.data.values():  # what a plan file names lies beside it
        games.source = _absolute(games.source, Path(name).parent)
    plan = write_out(plan)
    return only(plan, stages) if stages else plan


def shipped_plans() -> list[str]:
    """Names of the plans that come with wmctl."""
    return sorted(p.name.removesuffix(".yaml") for p in _SHIPPED.iterdir() if ".yaml" in p.name)


def explain_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem of a validation as one sentence that names the key."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        return f"unknown key {where!r}{did_you_mean(key, _field_names(model))}"
    if first["type"] == "missing":
        return f"{where!r} is missing"
    got = f" (got {_short(first['input'])})" if where else ""
    return first_problem(error) + got


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise InputMissing(f"there is no plan file {name}")
        text = path.read_text(encoding="utf-8", errors="replace")
    elif name in shipped_plans():
        text = (_SHIPPED / f"{name}.yaml").read_text()
    else:
        raise InputMissing(
            f"there is no plan {name!r}{did_you_mean(name, shipped_plans())}",
            hint=f"shipped plans: {', '.join(shipped_plans())}; or give the path of a YAML file",
        )
    tree = _parse(text, f"plan {name}")
    if not isinstance(tree, dict):
        raise BadConfig(f"plan {name} is not a mapping of keys")
    return tree


def _parse(text: str, what: str) -> Any:
    try:
        return _unshared(yaml.safe_load(text))
    except RecursionError as error:
        raise BadConfig(f"{what}: an alias holds itself") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BadConfig(f"{what} is not YAML: {where}{error.problem}") from error
    except yaml.YAMLError as error:
        raise BadConfig(f"{what} is not YAML: {' '.join(str(error).split())}") from error


def _unshared(tree: Any) -> Any:
    """A copy in which what YAML aliases share is there more than once: --set changes one place."""
    match tree:
        case dict():
            return {key: _unshared(value) for key, value in tree.items()}
        case list():
            return [_unshared(value) for value in tree]
    return tree


def _split(assignment: str, option: str) -> tuple[str, str]:
    key, equals, value = assignment.partition("=")
    if not (key and equals):
        raise BadConfig(f"{option} {assignment}: expected NAME=VALUE")
    return key, value


def _absolute(source: str, folder: Path) -> str:
    """A local source as an absolute path: stages, and later submissions, may run elsewhere."""
    if source.startswith(("s3://", "made:", "raw:")):
        return source
    return str((folder / Path(source).expanduser()).absolute())


def _paths(key: str) -> list[list[str]]:
    """``stages.a,b.steps`` means the steps of both."""
    return [list(path) for path in itertools.product(*(p.split(",") for p in key.split(".")))]


def _assign(tree: Any, path: list[str], value: Any, assignment: str) -> None:
    """Set what ``a.b.c`` names; of a list, ``0`` is the first item."""
    *parents, last = path
    for i, part in enumerate(parents):
        if isinstance(tree, list):
            tree = tree[_index(tree, part, assignment)]
        else:
            if part not in tree and i == 1:  # a stage, a datum or a verdict must exist already
                raise BadConfig(
                    f"{assignment}: there is no {part!r}{did_you_mean(part, tree)}",
                    hint=f"known here: {', '.join(tree)}",
                )
            tree = tree.setdefault(part, {})
        if not isinstance(tree, dict | list):
            raise BadConfig(f"{assignment}: {part!r} holds a value, not keys")
    if isinstance(tree, list):
        tree[_index(tree, last, assignment)] = value
    else:
        tree[last] = value


def _index(items: list[Any], part: str, assignment: str) -> int:
    if not part.isdecimal() or int(part) >= len(items):
        raise BadConfig(f"{assignment}: {part!r} is no item of a list of {len(items)}")
    return int(part)


def _field_names(model: type[BaseModel]) -> set[str]:
    """Every key that may appear anywhere in a model, for 'did you mean'."""
    names: set[str] = set()
    queue: list[Any] = [model]
    seen: list[Any] = []
    while queue:
        item = queue.pop()
        if any(item is s for s in seen):
            continue
        seen.append(item)
        if isinstance(item, type) and issubclass(item, BaseModel):
            names |= item.model_fields.keys()
            queue += [f.annotation for f in item.model_fields.values()]
        queue += getattr(item, "__args__", ())
    return names


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
