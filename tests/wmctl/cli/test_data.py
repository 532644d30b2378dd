from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import wmctl
from wm.games.chess.made import write_games
from wm.games.melee.made import write_replays


def keys(store: Path) -> dict[str, str]:
    """Name -> key of the data set of that name."""
    return {
        path.parent.parent.name: f"datasets/{path.parent.parent.name}/{path.parent.name}"
        for path in (store / "datasets").glob("*/*/manifest.json")
    }


def test_data_sets_are_listed_with_their_counts(finished: Path) -> None:
    answer = wmctl(finished, "data", "list")
    assert (answer.code, answer.err) == (0, "")
    titles, *rows = answer.out.splitlines()
    assert titles.split() == ["data", "set", "game", "games", "rows", "size", "rejected"]
    assert {row.split()[0] for row in rows} == set(keys(finished).values())
    assert {m["game"] for m in wmctl(finished, "data", "list", "--json").json} == {"chess", "melee"}


@pytest.mark.parametrize("part", [slice(0, None), slice(1, 2), slice(2, 3), slice(1, None)])
def test_a_data_set_is_shown_by_key_name_or_fingerprint(finished: Path, part: slice) -> None:
    key = keys(finished)["chess"]
    answer = wmctl(finished, "data", "show", "/".join(key.split("/")[part]))
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"{key}\n")
    assert "train: 26 games" in answer.out
    assert '"split": {"salt": "", "test": 0.1, "val": 0.2}' in answer.out


def test_a_data_set_as_json_is_its_manifest(finished: Path) -> None:
    assert wmctl(finished, "data", "show", "melee", "--json").json["accepted"] == 10


def test_verifying_reads_every_byte(mine: Path) -> None:
    answer = wmctl(mine, "data", "verify")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count("as the manifest says") == 2
    shard = next((mine / keys(mine)["melee"] / "shards").glob("val-*"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    answer = wmctl(mine, "data", "verify", "melee")
    assert answer.code == 65
    assert shard.name in answer.err
    assert answer.err.splitlines()[1].startswith("hint: ")
    assert wmctl(mine, "data", "verify", "chess").code == 0, "the other one is whole"


def test_a_data_set_without_its_shard_is_not_verified(mine: Path) -> None:
    shard = next((mine / keys(mine)["chess"] / "shards").glob("train-*"))
    shard.unlink()
    answer = wmctl(mine, "data", "verify", "chess")
    assert answer.code in (65, 66)
    assert shard.name in answer.err
    assert "Traceback" not in answer.err


def test_a_data_set_that_is_nearly_named_is_suggested(finished: Path) -> None:
    answer = wmctl(finished, "data", "show", keys(finished)["chess"][:-1])
    assert answer.code == 66
    assert f"(did you mean {keys(finished)['chess']!r}?)" in answer.err


def test_the_inventory_counts_what_would_be_accepted_and_refused(tmp_path: Path) -> None:
    write_games(tmp_path / "good.pgn", 6, 1)
    write_replays(tmp_path / "replays", 2, 1)
    (tmp_path / "replays" / "bad.slp").write_text("no replay")
    (tmp_path / "bad.pgn").write_text('[Result "1-0"]\n\n1. e4 e5 2. Ke2 Ke7 3. Qxf7 1-0\n')
    (tmp_path / "readme.txt").write_text("no games")
    before = sorted(tmp_path.rglob("*"))
    answer = wmctl(tmp_path / "store", "data", "inventory", str(tmp_path))
    assert (answer.code, answer.err) == (0, "")
    assert "pgn: 2 files, 6 games" in answer.out
    assert "slp: 3 files, 2 games" in answer.out
    assert "Slippi versions: 3.16.0 (2)" in answer.out
    assert "rejected, illegal_move: 1\n    bad.pgn: line 1: ply 5: Qxf7 is illegal" in answer.out
    assert "rejected, unreadable: 1\n    replays/bad.slp" in answer.out
    assert "1 ignored" in answer.out
    assert sorted(tmp_path.rglob("*")) == before, "nothing is encoded or written"


def test_the_inventory_as_json(tmp_path: Path) -> None:
    write_games(tmp_path / "good.pgn", 3, 1)
    counted = wmctl(tmp_path / "store", "data", "inventory", str(tmp_path), "--json").json
    assert counted["kinds"]["pgn"]["games"] == counted["accepted"] == 3
