from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from wm.stage.settings import WIDTH, describe


class _Model(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Small(_Model):
    """A small one. It has more to say."""

    kind: Literal["small"] = "small"
    width: int = 4
    """Numbers."""


class Large(_Model):
    """A large one."""

    kind: Literal["large"] = "large"
    depth: int = 9
    """Layers."""


class Limits(_Model):
    """Limits."""

    most: int = 3
    """At most."""
    bare: bool = False


class Settings(_Model):
    """Settings."""

    headings: ClassVar[dict[str, str]] = {"data": "data and shape", "limits": "limits"}

    data: str
    """Where it is."""
    shape: Small | Large
    """Its shape."""
    mode: Literal["fast", "sure"] = "sure"
    """How."""
    limits: Limits = Limits(most=5)
    """Limits."""
    several: list[Limits] = []
    """More limits."""
    rate: float | None = None
    """Steps a second."""


def test_settings_are_listed_under_headings_with_choices_defaults_and_nested_models() -> None:
    """Golden; a nested default is the one that the outer class gives."""
    assert describe(Settings).splitlines() == [
        "settings (the spec's config):",
        "",
        "data and shape",
        "  data: Where it is. (required)",
        "  shape: Its shape. (required)",
        "    kind small: A small one.",
        "      shape.width: Numbers. (default 4)",
        "    kind large: A large one.",
        "      shape.depth: Layers. (default 9)",
        "  mode: How. ('fast', 'sure'; default 'sure')",
        "",
        "limits",
        "  limits: Limits.",
        "    limits.most: At most. (default 5)",
        "    limits.bare: (default False)",
        "  several: More limits. (default [])",
        "    several.most: At most. (default 3)",
        "    several.bare: (default False)",
        "  rate: Steps a second. (default None)",
    ]


@pytest.mark.parametrize("words", range(10, 30))
def test_long_texts_are_wrapped_and_a_default_stays_in_one_piece(words: int) -> None:
    class Wordy(BaseModel):
        first: int = Field(12345, description="word " * words)

    lines = describe(Wordy).splitlines()[1:]

    assert max(map(len, lines)) <= WIDTH
    assert lines[-1].endswith("(default 12345)")
    assert " ".join(lines).split().count("word") == words
