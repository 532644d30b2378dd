"""A stage's settings as text for people: what ``--help`` says of a configuration class."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

WIDTH = 100
"""Columns of a line at most."""

REQUIRED = object()
"""In a default's place."""

_GLUE = "\0"
"""A space at which no line ends."""


def describe(settings: type[BaseModel]) -> str:
    """Every setting with its docstring, choices and default; those of nested models below it.

    ``headings``, a class variable of ``settings``, may map the first field of a part to its title.
    """
    headings: dict[str, str] = getattr(settings, "headings", {})
    lines = ["settings (the spec's config):"]
    for name, field in settings.model_fields.items():
        if name in headings:
            lines += ["", headings[name]]
        lines += _field(name, field, _default(field), indent=2)
    return "\n".join(lines)


def _field(path: str, field: FieldInfo, default: Any, indent: int) -> Iterator[str]:
    models = list(_models(field.annotation))
    facts = [", ".join(map(repr, _choices(field.annotation)))]
    if default is REQUIRED:
        facts.append("required")
    elif not isinstance(default, BaseModel):  # its own fields show theirs
        facts.append(f"default {default!r}")
    behind = f"({'; '.join(filter(None, facts))})" if any(facts) else ""
    if len(behind) < WIDTH // 4:
        behind = behind.replace(" ", _GLUE)
    words = [f"{path}:", *(field.description or "").split(), behind]
    yield _wrapped(" ".join(filter(None, words)), indent)
    for model in models:
        if len(models) > 1:
            yield _wrapped(_title(model), indent + 2)
        for name, inner in model.model_fields.items():
            if len(models) == 1 or not _is_tag(inner):
                own = getattr(default, name) if isinstance(default, model) else _default(inner)
                yield from _field(f"{path}.{name}", inner, own, indent + 2 * min(len(models), 2))


def _title(model: type[BaseModel]) -> str:
    """What one of several models is chosen by, and the first sentence of its docstring."""
    tags = [f"{n} {f.get_default()}" for n, f in model.model_fields.items() if _is_tag(f)]
    sentence = " ".join((model.__doc__ or "").split()).split(". ")[0].rstrip(".")
    return f"{', '.join(tags)}: {sentence}."


def _is_tag(field: FieldInfo) -> bool:
    return len(_choices(field.annotation)) == 1


def _default(field: FieldInfo) -> Any:
    return REQUIRED if field.is_required() else field.get_default(call_default_factory=True)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a value of this type is or holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The values that a Literal, or an optional one, allows; empty for other types."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_GLUE, " ")
