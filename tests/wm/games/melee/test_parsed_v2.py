import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.melee import made_games
from tests.support.parsed_v2 import write_parsed_v2
from wm.games.game import Game, Reason, Rejected
from wm.games.melee.options import MeleeOptions
from wm.games.melee.parsed_v2 import read_parsed_v2
from wm.games.melee.schema import COLUMN_TYPES, column
from wm.games.melee.slp import read_slp
from wm.games.melee.slp_write import write_slp

OPTIONS = MeleeOptions()
ALWAYS = ("frame_id", "percent", "port")


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    path = tmp_path / "game.slp"
    write_slp(path, *made_games()[0])
    return path


def convert(replay: Path, **how: Any) -> tuple[bytes, dict[str, Any]]:
    folder = replay.parent / "parsed"
    (meta,) = write_parsed_v2(folder, [replay], **how)
    return (folder / "games" / meta["slp_md5"]).read_bytes(), meta


def read(replay: Path, options: MeleeOptions = OPTIONS, **how: Any) -> Game:
    return read_parsed_v2(*convert(replay, **how), options=options)


def reason(data: bytes, meta: dict[str, Any]) -> Reason:
    with pytest.raises(Rejected) as caught:
        read_parsed_v2(data, meta, options=OPTIONS)
    return caught.value.reason


def assert_same_but_for_percent(parsed: Game, replayed: Game) -> None:
    for name in COLUMN_TYPES:
        values = column(parsed.rows["frames"], name)
        wanted = column(replayed.rows["frames"], name)
        wanted = np.trunc(wanted) if name == "percent" else wanted
        np.testing.assert_array_equal(values, wanted, name)
    assert (parsed.rows["frames"]["stage"] == replayed.rows["frames"]["stage"]).all()


def test_the_same_columns_and_identity_as_the_replay(replay: Path) -> None:
    parsed, replayed = read(replay), read_slp(replay, options=OPTIONS)
    assert_same_but_for_percent(parsed, replayed)
    assert parsed.identity == replayed.identity
    assert parsed.missing == ALWAYS
    lost = {"port0": 0, "port1": 0, "version": 0}
    assert parsed.facts == replayed.facts | lost


def test_the_same_columns_as_a_real_replay(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "ranked.slp"
    path.write_bytes((shared_data / "slp" / "slippiai_ranked_diamond_v3.16.slp").read_bytes())
    parsed, replayed = read(path), read_slp(path, options=OPTIONS)
    assert_same_but_for_percent(parsed, replayed)
    assert parsed.identity == replayed.identity


def test_rollback_rows_cannot_be_dropped(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "rollback.slp"
    path.write_bytes((shared_data / "slp" / "peppi_rollback23pct_v3.15.slp").read_bytes())
    with pytest.raises(Rejected, match=r"frame ids: 19\.4% of the rows visit a frame again"):
        read(path)
    game = read(path, MeleeOptions(max_revisited=0.2))
    assert len(game) == 6517
    assert "frame_id" in game.missing


def test_a_few_rollback_rows_are_tolerated(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "ics2.slp"
    path.write_bytes((shared_data / "slp" / "peppi_ics2.slp").read_bytes())
    assert len(read(path)) == 9530


def test_stage_of_older_files_is_missing(replay: Path) -> None:
    game = read(replay, stage=False)
    assert game.missing == (*ALWAYS, "stage")
    assert game.facts["stage"] == 0
    with pytest.raises(Rejected, match="stage"):
        read(replay, MeleeOptions(may_lack=frozenset()), stage=False)


def test_stage_of_the_meta_object_helps_out(replay: Path) -> None:
    data, meta = convert(replay, stage=False)
    game = read_parsed_v2(data, meta | {"stage": 32}, options=OPTIONS)
    assert game.facts["stage"] == 32
    assert game.missing == ALWAYS


def test_absent_columns_are_named_or_refused(replay: Path) -> None:
    lacking = ["hitlag", "speed_y"]
    with pytest.raises(Rejected) as caught:
        read(replay, lacking=lacking)
    assert (caught.value.reason, caught.value.detail) == (Reason.MISSING_FIELD, "hitlag, self_y")
    game = read(replay, MeleeOptions(may_lack=frozenset({"hitlag", "self_y"})), lacking=lacking)
    assert set(game.missing) == {*ALWAYS, "hitlag", "self_y"}
    assert not column(game.rows["frames"], "self_y").any()


def test_speeds_filled_with_zeros_are_absent(tmp_path: Path) -> None:
    """The builder of the layout wrote zeros where a replay held no speeds."""
    frames, start = made_games()[0]
    frames = frames.copy()
    for name in ("self_x_air", "self_y", "self_x_ground", "knockback_x", "knockback_y"):
        column(frames, name)[:] = 0
    write_slp(tmp_path / "game.slp", frames, start)
    with pytest.raises(Rejected, match="knockback_x, knockback_y, self_x_air"):
        read(tmp_path / "game.slp")


def test_processed_inputs_are_not_held(replay: Path) -> None:
    game = read(replay, MeleeOptions(controller="processed"))
    assert set(game.missing) == {*ALWAYS, "buttons", "shoulder"}


def test_more_than_two_players(replay: Path) -> None:
    data, meta = convert(replay)
    assert reason(data, meta | {"num_players": 4}) is Reason.PLAYERS


def test_damaged_data_is_unreadable(replay: Path) -> None:
    data, meta = convert(replay)
    parquet = zlib.decompress(data)
    assert reason(b"", meta) is Reason.UNREADABLE
    assert reason(data[: len(data) // 2], meta) is Reason.UNREADABLE
    assert reason(zlib.compress(parquet[: len(parquet) // 2]), meta) is Reason.UNREADABLE
    assert reason(zlib.compress(b"no parquet"), meta) is Reason.UNREADABLE
    assert reason(data, meta | {"compression": "lzma"}) is Reason.UNREADABLE
    game = read_parsed_v2(parquet, meta | {"compression": "none"}, options=OPTIONS)
    assert len(game) == len(made_games()[0][0])
