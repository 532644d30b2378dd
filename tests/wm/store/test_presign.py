"""Links that show an object without credentials."""

from __future__ import annotations

from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from wm.errors import BadConfig, StoreUnreachable
from wm.store import Store, open_store

PAGE = "runs/a run/é+%.html"


def fetch(link: str) -> tuple[bytes, str]:
    with urlopen(link, timeout=10) as answer:
        return answer.read(), answer.headers["Content-Type"]


def test_a_browser_is_shown_a_page(s3_url: str) -> None:
    store = open_store(s3_url)
    store.put(PAGE, "<p>é</p>".encode())
    link = store.presign(PAGE, 60)
    assert link is not None
    assert fetch(link) == ("<p>é</p>".encode(), "text/html; charset=utf-8")


def test_what_is_no_page_keeps_its_type(s3_url: str) -> None:
    store = open_store(s3_url)
    store.put("runs/a/spec.json", b"{}")
    link = store.presign("runs/a/spec.json", 60)
    assert link is not None
    data, kind = fetch(link)
    assert data == b"{}"
    assert "html" not in kind


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("page.html", "other.html"),
        ("page.html", "page.json"),
        ("text%2Fhtml", "text%2Fplain"),
        ("Expires=60", "Expires=61"),
    ],
)
def test_a_link_that_was_tampered_with_is_refused(s3_url: str, old: str, new: str) -> None:
    store = open_store(s3_url)
    for name in ("page.html", "other.html", "page.json"):
        store.put(f"runs/a/{name}", b"secret")
    link = store.presign("runs/a/page.html", 60)
    assert link is not None
    assert old in link
    with pytest.raises(HTTPError) as caught:
        fetch(link.replace(old, new))
    assert caught.value.code == 403
    caught.value.close()


def test_links_are_signed_as_newer_buckets_want_and_for_a_week_at_most(s3_url: str) -> None:
    link = open_store(s3_url).presign("page.html", 30 * 24 * 3600)
    assert link is not None
    said = parse_qs(urlsplit(link).query)
    assert said["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert said["X-Amz-Expires"] == ["604800"]
    with pytest.raises(HTTPError) as caught:
        fetch(link)
    assert caught.value.code == 404  # the link is good; the object is not there
    caught.value.close()


def test_a_directory_has_no_links(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put("page.html", b"x")
    assert store.presign("page.html", 60) is None


def test_bad_keys_have_no_links(store: Store) -> None:
    with pytest.raises(BadConfig, match="cannot name an object"):
        store.presign("a/../../b", 60)


def test_without_credentials_there_is_no_link(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreUnreachable, match=r"cannot sign a link to page.html .*credentials"):
        open_store(s3_url).presign("page.html", 60)
