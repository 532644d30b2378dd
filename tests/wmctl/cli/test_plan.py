from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import wmctl
from wm.store import Entry, Store, open_store
from wm.store.base import Tag
from wm.store.directory import DirectoryStore

TITLES = ["stage", "needs", "work", "time", "worst", "cost", "done", "by", "from"]


def test_the_plan_is_shown_with_work_time_cost_and_where_the_time_is_from(tmp_path: Path) -> None:
    answer = wmctl(tmp_path / "store", "plan", "demo", "--cpus", "2")
    assert (answer.code, answer.err) == (0, "")
    about, titles, *rows, empty, time, money = answer.out.splitlines()
    assert about.startswith("demo: Both games from raw files to a verdict")
    assert titles.split() == TITLES
    stages = {row.split()[0]: row for row in rows}
    assert list(stages) == [
        "encode-chess",
        "encode-melee",
        "train-chess/winner",
        "train-chess/loser",
        "train-mlp",
        "train-mamba2",
        "arena-chess",
        "arena-melee",
    ]
    assert stages["arena-chess"].split()[1] == "train-chess", "every variant of it"
    assert "encode-melee, train-mlp, train-mamba2" in stages["arena-melee"]
    assert "600 steps" in stages["train-chess/loser"]
    assert all("$" in row and row.rstrip().endswith("guess") for row in rows)
    assert empty == ""
    assert time.startswith("about ")
    assert " on 2 cores, at worst " in time
    assert ", deadline " in time
    assert money.startswith("about $")
    assert ", at worst $" in money
    assert not (tmp_path / "store").exists(), "nothing is started, nothing is written"


def test_the_plan_as_json_has_every_resolved_setting(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "plan", "demo", "--json", "--set", "stages.train-mlp.steps=77")
    assert answer.code == 0
    plan = answer.json
    assert plan["plan"] == "demo"
    stages = {stage["name"]: stage for stage in plan["stages"]}
    assert stages["train-mlp"]["config"]["steps"] == 77
    assert stages["train-mlp"]["config"]["model"]["kind"] == "mlp"
    assert stages["train-chess-winner"]["config"]["labels"] == "winner"
    for stage in stages.values():
        assert stage["worst"] > stage["seconds"] > 0
        assert stage["usd"] > 0
        assert stage["source"] == "guess"
    assert plan["worst"] > plan["seconds"] >= max(stage["seconds"] for stage in stages.values())
    assert plan["usd_worst"] > plan["usd"] >= max(stage["usd"] for stage in stages.values())
    assert plan["finish"] >= max(stage["end"] for stage in stages.values())
    assert plan["deadline"] > plan["finish"], "an hour is enough"
    assert (plan["objections"], plan["gives_way"], plan["bets"]) == ([], "", {})
    assert 0 <= plan["risk"] < 0.1


def test_one_core_takes_longer_than_two_and_costs_as_much(tmp_path: Path) -> None:
    one, two = (wmctl(tmp_path, "plan", "demo", "--cpus", n, "--json").json for n in "12")
    assert one["seconds"] > two["seconds"]
    assert one["usd"] == pytest.approx(two["usd"])


def test_times_are_those_of_an_earlier_run(finished: Path) -> None:
    answer = wmctl(finished, "plan", "demo")
    encode = next(line for line in answer.out.splitlines() if line.startswith("encode-chess"))
    assert encode.rstrip().endswith(next((finished / "runs").iterdir()).name)


@pytest.mark.parametrize("words", [["plan", "demo"], ["submit", "demo"]])
def test_data_of_ones_own_must_not_be_misspelt(tmp_path: Path, words: list[str]) -> None:
    answer = wmctl(tmp_path, *words, "--data", "mele=replays")
    assert answer.code == 64
    assert answer.err.startswith(
        "error: plan demo has no data named 'mele' (did you mean 'melee'?)"
    )


PLAN: dict[str, Any] = {
    "name": "night",
    "data": {"melee": {"game": "melee", "source": "made:200"}},
    "stages": {
        "enc": {"encode": "melee", "workers": 2},
        "bet": {
            "train": "mamba2",
            "data": "enc",
            "threads": 1,
            "shorten_to": 0.1,
            "model": {"d_model": 64, "layers": 2, "d_state": 16, "headdim": 32},
            "batch": 8,
            "variants": {"safe": {"steps": 1000}, "mid": {"steps": 10_000}},
        },
    },
    "choices": {"size": {"among": ["bet/safe", "bet/mid"], "fits": True}},
    "scenarios": {
        "like": "bet/safe",
        "models": {"small": {"d_model": 64, "headdim": 32}, "large": {"d_model": 512}},
        "games": [200, 20_000],
        "epochs": [1, 3],
        "hours": [1, 1000],
    },
}


@pytest.fixture
def night(tmp_path: Path) -> str:
    path = tmp_path / "night.yaml"
    path.write_text(yaml.safe_dump(PLAN, sort_keys=False))
    return str(path)


def lines(store: Path, *words: str) -> list[str]:
    answer = wmctl(store, "plan", *words)
    assert (answer.code, answer.err) == (0, "")
    return answer.out.splitlines()


def bet(found: list[str], label: str) -> str:
    """The line of a bet in its own table."""
    table = found[next(i for i, line in enumerate(found) if line.startswith("choice ")) :]
    return next(line for line in table if line.startswith(label)).rstrip()


def test_bets_stand_side_by_side_and_the_boldest_that_fits_is_taken(
    tmp_path: Path, night: str
) -> None:
    found = lines(tmp_path, night)
    assert "choice size: the boldest that fits, decided again when its turn comes" in found
    assert next(line for line in found if line.startswith("bet ")).split() == [
        "bet", "cost", "risk", "finish",
    ]  # fmt: skip
    assert bet(found, "bet/mid").endswith(" taken")
    assert bet(found, "bet/safe").endswith(" fits")
    assert " 0 % " in bet(found, "bet/safe")
    stages = [line for line in found if line.startswith("bet/mid")]
    assert "if chosen" in stages[0]


def test_why_a_bet_does_not_fit(tmp_path: Path, night: str) -> None:
    found = lines(tmp_path, night, "--set", "deadline=3m", "--cpus", "2")
    assert " no: the run would end " in bet(found, "bet/mid")
    assert bet(found, "bet/safe").endswith(" taken")
    plan = wmctl(tmp_path, "plan", night, "--json", "--set", "deadline=3m", "--cpus", "2").json
    safe, mid = plan["bets"]["size"]
    assert (safe["label"], safe["misses"]) == ("bet/safe", "")
    assert mid["misses"].endswith("after the deadline")
    assert mid["usd"] > safe["usd"]
    assert mid["finish"] > safe["finish"]
    assert mid["risk"] > safe["risk"]


def test_where_no_bet_fits_the_most_cautious_is_taken(tmp_path: Path, night: str) -> None:
    found = lines(tmp_path, night, "--set", "deadline=20s")
    assert all(" no: the run would end " in bet(found, f"bet/{name}") for name in ("safe", "mid"))


def test_what_cannot_fit_is_said(tmp_path: Path, night: str) -> None:
    says = "does not fit: with everything as short as the plan allows the run would "
    late = lines(tmp_path, night, "--set", "deadline=3s")
    assert [line for line in late if line.startswith(says + "end ")]
    dear = lines(tmp_path, night, "--set", "budget=0.00001")
    assert [line for line in dear if line.startswith(says + "cost ")]
    assert not [line for line in late + dear if line.startswith("tight")]


def test_what_fits_when_trainings_give_way_is_tight(tmp_path: Path, night: str) -> None:
    found = lines(tmp_path, night, "--set", "deadline=35s", "--cpus", "2")
    [tight] = [line for line in found if line.startswith("tight: ")]
    assert tight.startswith("tight: the run would end ")
    assert tight.endswith("after the deadline; trainings would be shortened")
    assert not [line for line in found if line.startswith("does not fit")]
    easy = lines(tmp_path, night, "--set", "deadline=3h")
    assert not [line for line in easy if line.startswith(("tight", "does not fit"))]


def test_scenarios(tmp_path: Path, night: str) -> None:
    titles, *rows, note = lines(tmp_path, night, "--scenarios")
    assert titles.split()[:3] == ["model", "games", "epochs"]
    assert titles.split()[-6:] == ["1", "h", "1000", "h", "data", "from"]
    assert [row.split()[:3] for row in rows] == [
        [model, games, epochs]
        for model in ("small", "large")
        for games in ("200", "20,000")
        for epochs in ("1", "3")
    ]
    assert note.startswith("tight: in time as expected")
    made = wmctl(tmp_path, "plan", night, "--scenarios", "--json").json
    assert [row["fits"]["1"] for row in made][0::7] == ["yes", "no"]
    assert made[0]["bytes"] == 200 * 9_398 * 104


def test_a_plan_without_scenarios_says_how_to_have_some(tmp_path: Path) -> None:
    answer = wmctl(tmp_path, "plan", "demo", "--scenarios")
    assert answer.code == 64
    assert "plan demo says nothing of scenarios" in answer.err
    assert "scenarios: models, games, epochs, hours and like" in answer.err


def test_prices_are_those_of_the_profiles(tmp_path: Path, night: str) -> None:
    dear = tmp_path / "profiles.yaml"
    dear.write_text("cpu: {price_per_vcpu_hour: 0.4}\n")
    cheap = wmctl(tmp_path, "plan", night, "--json", "--profiles", "none.yaml").json
    made = wmctl(tmp_path, "plan", night, "--json", "--profiles", str(dear)).json
    assert made["usd"] == pytest.approx(10 * cheap["usd"]), "4 cents an hour where nobody says more"


def test_a_gpu_without_a_price_and_a_budget_do_not_go_together(tmp_path: Path, night: str) -> None:
    words = ["--on", "kubernetes", "--profiles", "none.yaml"]
    gpu = ["--set", "stages.bet.resources.gpu=h100"]
    assert wmctl(tmp_path, "plan", night, *words, *gpu).code == 0
    answer = wmctl(tmp_path, "plan", night, *words, *gpu, "--set", "budget=5")
    assert answer.code == 64
    assert "nobody says what an hour of a h100 costs" in answer.err


def test_a_part_of_a_plan(tmp_path: Path) -> None:
    made = wmctl(tmp_path, "plan", "demo", "--json", "--only", "train-mlp").json
    assert [stage["name"] for stage in made["stages"]] == ["encode-melee", "train-mlp"]


class Counted(DirectoryStore):
    """Counts what is asked of it."""

    reads = 0
    lists = 0

    def get(self, key: str, *, sha256: str | None = None) -> bytes:
        Counted.reads += 1
        return super().get(key, sha256=sha256)

    def get_tagged(self, key: str) -> tuple[bytes, Tag]:
        Counted.reads += 1
        return super().get_tagged(key)

    def head(self, key: str) -> Entry | None:
        Counted.reads += 1
        return super().head(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        Counted.lists += 1
        return super().list(prefix)


def reads(store: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    def opened(address: str) -> Store:
        return Counted(Path(address))

    monkeypatch.setattr("wmctl.cli.draft.open_store", opened)
    Counted.reads = Counted.lists = 0
    assert wmctl(store, "plan", "demo").code == 0
    return Counted.reads, Counted.lists


def test_planning_is_fast_however_many_runs_there_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to a bucket takes tens of milliseconds: what counts is how many there are."""
    empty = reads(tmp_path / "empty", monkeypatch)
    store = open_store(str(tmp_path / "full"))
    for number in range(200):
        run = f"runs/demo-1122-{number:04d}"
        for name in ("spec.json", "events.jsonl", "train-mlp/01/outcome.json"):
            store.put(f"{run}/{name}", b"{}")
        store.put(f"ledger/{number:016x}.json", b"{}")
    full = reads(tmp_path / "full", monkeypatch)
    assert full == empty
    # two pages of the ledger for each of eight stages at most, each read once
    assert 0 < full[0] <= 32
    assert full[1] == 0, "nothing is listed"
