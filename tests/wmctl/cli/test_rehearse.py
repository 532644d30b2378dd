from __future__ import annotations

from pathlib import Path

from tests.support.cli import wmctl

NIGHTS = ("--on", "kubernetes", "--nights", "6", "--json")


def test_nights_are_rehearsed_and_nothing_is_written(tmp_path: Path) -> None:
    store = tmp_path / "store"
    seen = wmctl(store, "rehearse", "overnight", *NIGHTS).json
    assert (seen["nights"], seen["in_time"], seen["over_budget"]) == (6, 6, 0)
    assert sum(seen["verdicts"].values()) == 6
    assert 0 < seen["usd"]["median"] <= seen["usd"]["worst"]
    assert 0 < seen["seconds"]["median"] <= seen["seconds"]["worst"]
    assert not store.exists()


def test_the_same_seed_gives_the_same_nights(tmp_path: Path) -> None:
    one, same, other = (
        wmctl(tmp_path, "rehearse", "overnight", *NIGHTS, "--seed", seed).json for seed in "113"
    )
    assert one == same
    assert one != other


def test_too_little_time_shows(tmp_path: Path) -> None:
    words = ("--set", "deadline=2h", "--set", "budget=null")
    seen = wmctl(tmp_path, "rehearse", "overnight", *NIGHTS, *words).json
    assert seen["in_time"] == 6, "verdicts are there by the deadline in any case"
    assert seen["nights_with"]["shortened"] + seen["nights_with"]["skipped"] > 0


def test_people_read_a_few_lines(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "rehearse", "demo", "--nights", "2", "--cpus", "2")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("2 nights of demo, with what may go wrong:")
    assert "verdict by the deadline" in answer.out
