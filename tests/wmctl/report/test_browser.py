"""The page in a real browser: on a phone, on a desk and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import browser, open_page
from tests.support.reports import report
from tests.support.runs import Script
from wmctl.report.page import render


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


def test_what_failed_and_the_way_out_are_seen_on_a_phone(chromium: Browser, tmp_path: Path) -> None:
    script = Script().add("submitted").add("started", stage="enc", attempt=1)
    text, hint = "no chess game of /data/games was accepted", "give other files"
    script.add("ended", stage="enc", attempt=1, code=65, text=text, hint=hint)
    script.add("verdict", name="chess", outcome="stop", text="enc failed")
    path = tmp_path / "index.html"
    path.write_text(render(report(script)))
    opened = open_page(chromium, path, 390)
    for words in ("chess: stop", "enc failed with code 65", text, hint):
        box = opened.page.get_by_text(words).first.bounding_box()
        assert box
        assert box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 844
