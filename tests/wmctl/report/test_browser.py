"""The page in a real browser: on a phone, on a desk and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import browser, open_page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def page(finished: Path) -> Path:
    return next((finished / "runs").iterdir()) / "index.html"


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits_and_is_quiet(chromium: Browser, page: Path, width: int) -> None:
    opened = open_page(chromium, page, width)
    assert opened.console == []
    assert opened.requests == [], "the page holds everything it shows"
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    wide = opened.page.evaluate(
        """() => [...document.querySelectorAll("table")]
            .filter(table => !table.closest(".scroll")).length"""
    )
    assert wide == 0, "every table scrolls in a box of its own"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_verdicts_are_seen_before_anything_is_scrolled(
    chromium: Browser, page: Path, width: int
) -> None:
    opened = open_page(chromium, page, width)
    verdicts = opened.page.locator(".verdict")
    assert verdicts.count() == 2
    for i in range(2):
        box = verdicts.nth(i).bounding_box()
        assert box
        assert box["y"] + box["height"] <= 844
        assert verdicts.nth(i).is_visible()
    assert verdicts.first.inner_text().startswith(("chess: hold", "chess: promote"))


@pytest.mark.parametrize("width", [390, 1280])
def test_charts_fill_their_place_and_their_text_can_be_read(
    chromium: Browser, page: Path, width: int
) -> None:
    opened = open_page(chromium, page, width)
    charts = opened.page.locator(".charts svg")
    assert charts.count() >= 6
    for i in range(charts.count()):
        box = charts.nth(i).bounding_box()
        assert box
        assert 280 <= box["width"] <= 560
    smallest = opened.page.evaluate(
        """() => Math.min(...[...document.querySelectorAll(".charts svg text")]
            .map(text => text.getBoundingClientRect().height))"""
    )
    assert smallest >= 8, "CSS pixels"


def test_the_page_can_be_printed(chromium: Browser, page: Path) -> None:
    opened = open_page(chromium, page, 1280)
    paper = opened.page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    assert 1 <= paper.count(b"/Type /Page\n") <= 8
    opened.page.emulate_media(media="print")
    opened.page.set_viewport_size({"width": 720, "height": 1000})  # A4 without its margins
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 720
    figures = opened.page.locator("details td").first
    assert figures.evaluate("cell => cell.checkVisibility({contentVisibilityAuto: true})")
