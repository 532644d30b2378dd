"""In what two objects differ, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from wmctl.launch.kubernetes.render.meta import SPEC_SHA256


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The first thing in which a rendered object differs from the one on the cluster.

    ``spec.template.spec.containers[encoder].image is B, on the cluster A``; empty where nothing
    that was rendered differs. What only ``old`` has is what the cluster filled in.
    """
    return next(_walk(old, new, ""), "")


def _walk(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in new.items():
            if key != SPEC_SHA256:
                yield from _walk(old.get(key), value, f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _by_name(old), _by_name(new)
        for key in [*after, *(k for k in before if k not in after)]:
            yield from _walk(before.get(key), after.get(key), f"{path}[{key}]")
    elif not _same(old, new):
        yield f"{path} is {_short(new)}, on the cluster {_short(old)}"


def _by_name(items: list[Any]) -> dict[Any, Any]:
    """Containers, variables and volumes by name, everything else by position."""
    if items and all(isinstance(item, dict) and "name" in item for item in items):
        return {item["name"]: item for item in items}
    return dict(enumerate(items))


def _same(old: Any, new: Any) -> bool:
    """Equal, also as amounts: the cluster writes 1024Mi as 1Gi."""
    if old == new:
        return True
    try:
        return bool(parse_quantity(old) == parse_quantity(new))  # type: ignore[no-untyped-call]
    except ValueError:
        return False


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
