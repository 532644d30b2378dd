from __future__ import annotations

import pytest

from wm.errors import BadConfig
from wm.store.keys import check_key, check_prefix


@pytest.mark.parametrize("key", ["a", "a/b.json", ".hidden/..x", "é ü", "p" * 255, "a/.wm"])
def test_good_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "non-empty"),
        ("/a", "non-empty"),
        ("a/", "non-empty"),
        ("a//b", "non-empty"),
        ("..", r"'\.\.'"),
        ("a/../b", r"'\.\.'"),
        ("./a", r"'\.'"),
        ("a\nb", "control"),
        ("a\0b", "control"),
        (".wm/tmp/x", "itself"),
        ("p" * 256, "255"),
        ("é" * 128, "255"),
        ("/".join(["part"] * 200), "900"),
    ],
)
def test_bad_keys(key: str, why: str) -> None:
    with pytest.raises(BadConfig, match=f"cannot name an object: .*{why}"):
        check_key(key)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/"])
def test_good_prefixes(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "/a", "a//", "../", "a/..", "a/../b", ".wm/tmp/"])
def test_bad_prefixes(prefix: str) -> None:
    with pytest.raises(BadConfig, match="cannot name an object"):
        check_prefix(prefix)
