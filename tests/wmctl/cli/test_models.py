from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import wmctl
from wm.artifacts.model import read_aliases, set_alias
from wm.store import Store, open_store


def versions(store: Path, game: str) -> list[str]:
    return sorted(path.name for path in (store / "models" / game).iterdir() if path.is_dir())


def test_models_are_listed_newest_first_with_whole_keys(finished: Path) -> None:
    answer = wmctl(finished, "models", "list")
    assert (answer.code, answer.err) == (0, "")
    titles, *rows = answer.out.splitlines()
    assert titles.split() == ["model", "kind", "parameters", "step", "made", "aliases"]
    keys = {row.split()[0] for row in rows}
    assert keys == {f"models/{g}/{v}" for g in ("chess", "melee") for v in versions(finished, g)}
    cards = wmctl(finished, "models", "list", "--json").json
    assert [card["created"] for card in cards] == sorted(
        (card["created"] for card in cards), reverse=True
    )


def test_a_card_is_shown_for_people_and_as_json(finished: Path) -> None:
    version = versions(finished, "melee")[0]
    answer = wmctl(finished, "models", "show", f"models/melee/{version}")
    assert answer.out.startswith(f"# melee {version}")
    assert wmctl(finished, "models", "show", version).out == answer.out
    assert wmctl(finished, "models", "show", f"melee/{version}", "--json").json["step"] == 12


def test_promoting_points_the_alias_and_says_what_it_was(mine: Path) -> None:
    first, second = versions(mine, "chess")
    answer = wmctl(mine, "models", "promote", f"models/chess/{first}")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"chess/champion is {first} now\n"
    again = wmctl(mine, "models", "promote", f"models/chess/{first}")
    assert again.out == f"chess/champion is {first} already\n"
    other = wmctl(mine, "models", "promote", f"chess/{second}")
    assert other.out == f"chess/champion is {second} now (was {first})\n"
    assert wmctl(mine, "models", "show", "chess/champion").out.startswith(f"# chess {second}")
    wmctl(mine, "models", "promote", "chess/champion", "base")
    assert json.loads((mine / "models/chess/aliases.json").read_text()) == {
        "base": second,
        "champion": second,
    }
    row = next(r for r in wmctl(mine, "models", "list").out.splitlines() if second in r)
    assert row.split()[-2:] == ["base,", "champion"] or row.split()[-2:] == ["champion,", "base"]


def test_two_promotions_at_once_end_in_one_clear_sentence(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = versions(mine, "chess")

    def slowly(store: Store, name: str) -> object:
        seen = read_aliases(store, name)
        set_alias(store, name, "champion", second, seen[1])  # somebody else, in between
        return seen

    monkeypatch.setattr("wmctl.cli.models.read_aliases", slowly)
    answer = wmctl(mine, "models", "promote", f"chess/{first}")
    assert answer.out == ""
    assert answer.err == (
        "error: the aliases of chess were changed by somebody else\n"
        "hint: look at them and try again\n"
    )
    assert read_aliases(open_store(str(mine)), "chess")[0] == {"champion": second}


def test_a_model_that_is_nearly_named_is_suggested(finished: Path) -> None:
    version = versions(finished, "melee")[0]
    answer = wmctl(finished, "models", "show", f"melee/{version[:-1]}")
    assert answer.code == 66
    assert f"(did you mean 'models/melee/{version}'?)" in answer.err


def test_a_damaged_card_is_named(mine: Path) -> None:
    version = versions(mine, "melee")[0]
    (mine / "models/melee" / version / "model.json").write_text("{")
    for words in (["list"], ["show", f"melee/{version}"]):
        answer = wmctl(mine, "models", *words)
        assert answer.code == 65
        assert f"models/melee/{version}/model.json is not a model's card" in answer.err
        assert "Traceback" not in answer.err
