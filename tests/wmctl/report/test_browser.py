"""The page in a real browser: on a phone, on a desk and on paper."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import browser, open_page
from tests.support.reports import SENTENCES, WORDS, duel, night, report
from tests.support.runs import Script
from tests.support.tiny import submit_command
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


@pytest.fixture(scope="module")
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page that a conductor has written, while it is at work."""
    folder = tmp_path_factory.mktemp("alive")
    # Long enough for a few renderings: the first has no stage at work yet.
    longer = [
        "--set",
        "stages.train-chess.steps=4000",
        "--set",
        "stages.train-chess.model.hidden=64",
    ]
    process = subprocess.Popen(
        [*submit_command(folder / "store"), *longer],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert process.poll() is None, process.communicate()[0].decode()
            for page in (folder / "store").glob("runs/*/index.html"):
                copy = Path(shutil.copy(page, folder / "page.html"))
                if " steps, loss " in copy.read_text():
                    yield copy
                    return
            time.sleep(1)
        pytest.fail("no page of a run at work was written")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_the_page_of_a_run_that_is_alive(
    chromium: Browser, alive: Path, width: int, height: int
) -> None:
    opened = open_page(chromium, alive, width, height)
    assert (opened.console, opened.requests) == ([], [])
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    shown = opened.page.locator("body").inner_text()
    for words in ("chess: not reached yet", "cost so far", "finish", "deadline", "running",
                  "Last log lines", "INFO", "core-hour"):  # fmt: skip
        assert words in shown
    box = opened.page.locator(".now .bar").bounding_box()
    assert box
    assert box["height"] >= 8
    assert box["y"] + box["height"] <= height, "cost and finish are seen before anything else"
    chart = opened.page.locator(".charts svg").first.bounding_box()
    assert chart
    assert chart["width"] >= 280
    assert opened.page.locator("meta[http-equiv=refresh]").count() == 1


@pytest.mark.parametrize(("width", "height"), [(320, 700), (390, 844), (1280, 900)])
def test_a_night_with_everything_in_it_fits(
    chromium: Browser, tmp_path: Path, width: int, height: int
) -> None:
    path, made = tmp_path / "index.html", night()
    made.spec.nodes[-1].game = "melee"
    made.arenas["arena"] = duel()
    path.write_text(render(made))
    opened = open_page(chromium, path, width, height)
    assert (opened.console, opened.requests) == ([], [])
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    # Whatever people must read without scrolling to the side.
    for words in (
        *SENTENCES.values(),
        WORDS[0],
        "$17.40 of",
        "1,200/4,000 steps",
        "choice size took",
    ):
        box = opened.page.get_by_text(words).first.bounding_box()
        assert box, words
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width, words
    bars = opened.page.locator(".now .bar")
    assert bars.count() == 2
    for i, share in enumerate((0.87, 0.75)):
        whole = bars.nth(i).bounding_box()
        used = bars.nth(i).locator("i").last.bounding_box()
        assert whole
        assert used
        assert used["width"] / whole["width"] == pytest.approx(share, abs=0.02)
        assert bars.nth(i).get_attribute("aria-label")


def test_on_a_phone_each_stage_shows_phase_time_and_cost(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(render(night()))
    opened = open_page(chromium, path, 390)
    row = opened.page.locator(".stages tr").nth(2)
    for cell in ("train/winner", "running", "6h 00m", "$17.40", "1,200/4,000 steps"):
        box = row.get_by_text(cell).bounding_box()
        assert box, cell
        assert box["x"] + box["width"] <= 390
    assert not row.locator(".more").first.is_visible()
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    assert row.locator(".more").first.is_visible()
