"""A page in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@dataclass
class Opened:
    """A page that is open, and what it asked for and said."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Addresses of everything that was fetched beside the page itself."""


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium of this machine; skips where there is none, unless this is the CI."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("there is no chromium here")
    assert chromium, "the CI must have a chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def open_page(browser: Browser, path: Path, width: int, height: int = 844) -> Opened:
    """Open a file in a window of that size, in CSS pixels."""
    page = browser.new_page(viewport={"width": width, "height": height})
    opened = Opened(page)
    page.on("console", lambda message: opened.console.append(message.text))
    page.on("pageerror", lambda error: opened.console.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(path.as_uri())
    opened.requests.remove(path.as_uri())
    return opened
