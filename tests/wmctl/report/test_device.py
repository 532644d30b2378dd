"""The panel that shows what trainings used of their machines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import browser, open_page
from tests.support.reports import report, training
from tests.support.runs import PLAN, Script
from wmctl.report.collect import Report
from wmctl.report.device import DeviceUse, panels
from wmctl.report.page import render

ON_GPU = {
    "gpu_memory_gb": 8.0,
    "gpu_memory_peak_gb": 12.5,
    "gpu_reserved_gb": 14.0,
    "gpu_total_gb": 80.0,
    "gpu_utilization": 0.9,
}


def sample(minute: float, **figures: float) -> dict[str, Any]:
    """A ``train`` line, one step a minute."""
    memory = {"memory_gb": 2.0, "memory_peak_gb": 2.0 + minute, "memory_anon_gb": 0.5}
    line = {"time": 1e9 + 60 * minute, "step": minute, "event": "train", "loss": 3.0}
    return line | memory | figures


def made(*points: dict[str, Any]) -> Report:
    """A run with one training that left these lines."""
    found = report(Script().add("submitted").walk("enc"))
    found.trainings["train-winner"] = training(*points)
    return found


def svgs(html: str) -> list[str]:
    """Names of the charts of a page."""
    return re.findall(r'<svg role="img" aria-label="([^"]+)"', html)


def test_a_row_has_peaks_and_means() -> None:
    first, later = ON_GPU | {"cpu_cores": 1.0}, ON_GPU | {"cpu_cores": 2.0, "gpu_utilization": 0.4}
    points = [sample(0, **ON_GPU), sample(1, **first), sample(2, **later)]

    [row] = panels(made(*points))["chess"].rows

    assert row == DeviceUse("train/winner", 4.0, 1.5, 12.5, 80.0, pytest.approx(2.2 / 3))


def test_a_training_on_a_gpu_shows_all_of_it() -> None:
    html = render(made(*(sample(m, cpu_cores=1.25, **ON_GPU) for m in range(4))))
    text = html[html.index("Device use") :]

    for words in ("5.00", "1.2", "12.5 of 80", "90 %"):
        assert words in text
    assert svgs(text) == [
        "Memory, GB (dashed: without mapped files)",
        "Processor cores in use",
        "GPU utilisation, share of time",
    ]


def test_a_training_without_a_gpu_has_no_columns_for_one() -> None:
    html = render(made(*(sample(m, cpu_cores=1.25) for m in range(4))))
    text = html[html.index("Device use") :]

    assert "GPU" not in text
    assert len(svgs(text)) == 2


def test_a_gpu_without_a_figure_for_utilisation_shows_none() -> None:
    known = {name: value for name, value in ON_GPU.items() if name != "gpu_utilization"}
    html = render(made(*(sample(m, **known) for m in range(4))))
    text = html[html.index("Device use") :]

    assert "12.5 of 80" in text
    assert '<td class="n">–</td>' in text
    assert len(svgs(text)) == 1


def test_one_sample_is_a_row_but_no_chart() -> None:
    panel = panels(made(sample(0)))["chess"]
    assert (len(panel.rows), panel.charts) == (1, [])


def test_a_training_of_an_earlier_version_has_no_panel() -> None:
    found = made({"time": 1.0, "step": 5, "event": "train", "loss": 3.0})
    assert panels(found) == {}
    assert "Device use" not in render(found)


def test_time_counts_from_the_first_line_of_the_training() -> None:
    start = {"time": 1e9 - 120, "step": 0, "event": "start"}
    svg = panels(made(start, *(sample(m) for m in range(3))))["chess"].charts[0]
    assert "minutes" in svg
    ticks = {float(t) for t in re.findall(r">([0-9.]+)</text>", svg)}
    assert {2.0, 4.0} <= ticks
    assert max(ticks) < 10


def test_a_calibration_has_no_panel() -> None:
    stages = PLAN["stages"] | {"pace": {"calibrate": ["train"], "after": ["enc"]}}
    found = report(Script().add("submitted").walk("enc"), stages=stages)
    found.trainings["pace-train-winner"] = training(*(sample(m) for m in range(3)))
    assert panels(found) == {}


def test_the_panel_fits_a_phone_and_a_desk(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(render(made(*(sample(m, cpu_cores=1.25, **ON_GPU) for m in range(40)))))
    with browser() as chromium:
        for width in (390, 1280):
            opened = open_page(chromium, path, width)
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            for what in (".device", ".scroll:has(.device) + .charts svg"):
                shown = opened.page.locator(what)
                assert shown.count() >= 1
                for i in range(shown.count()):
                    box = shown.nth(i).bounding_box()
                    assert box
                    assert box["x"] + box["width"] <= width, "all of it is seen without scrolling"
