from pathlib import Path

import numpy as np
import peppi_py
import pytest

from tests.support.melee import made_games, verdict
from wm.games.game import Game, Reason
from wm.games.melee.options import MeleeOptions
from wm.games.melee.schema import COLUMN_TYPES, FRAME, column
from wm.games.melee.slp import read_slp
from wm.games.melee.slp_write import Start, slp_bytes, write_slp

OPTIONS = MeleeOptions()


def random_frames(count: int = 300, seed: int = 3) -> np.ndarray:
    """Frames with every column at random within what a reader accepts."""
    rng = np.random.default_rng(seed)
    frames = np.zeros(count, FRAME)
    frames["stage"] = 31
    high = {"hurtbox": 3, "l_cancel": 3, "jumps": 8, "flags": 8, "stocks": 5, "character": 33}
    high |= {"last_attack": 64, "action": 400}
    signed = ("stick_x", "stick_y", "cstick_x", "cstick_y", "x", "y", "self_y", "knockback_x")
    for name, group in COLUMN_TYPES.items():
        if group in ("f32", "f16"):
            column(frames, name)[:] = rng.uniform(-1 if name in signed else 0, 1, (count, 2))
        else:
            top = high.get(name, 256 if group == "u8" else 65536)
            column(frames, name)[:] = rng.integers(top, size=(count, 2))
    hurt = column(frames, "hurtbox") > 0
    column(frames, "flags")[:] = column(frames, "flags") & 3 | hurt * 4
    return frames


def test_every_column_is_read_back_bit_by_bit(tmp_path: Path) -> None:
    frames = random_frames()
    write_slp(tmp_path / "game.slp", frames, Start(31, (2, 9)))
    game = read_slp(tmp_path / "game.slp", options=OPTIONS)
    assert game.rows["frames"].tobytes() == frames.tobytes()


def test_start_is_read_back(tmp_path: Path) -> None:
    frames = made_games()[0][0]
    path = tmp_path / "game.slp"
    write_slp(path, frames, Start(28, (20, 15), ports=(2, 4), stocks=3, seed=77))
    start = peppi_py.read_slippi(str(path), skip_frames=True).start
    assert (start.slippi.version, start.stage) == ((3, 16, 0), 28)
    assert [player.character for player in start.players] == [20, 15]
    assert {player.type for player in start.players} == {peppi_py.game.PlayerType.HUMAN}
    facts = read_slp(path, options=OPTIONS).facts
    assert (facts["port0"], facts["port1"], facts["version"]) == (2, 4, 31600)


def test_the_parser_finds_an_ordinary_match(tmp_path: Path) -> None:
    frames, start = made_games()[0]
    write_slp(tmp_path / "game.slp", frames, start)
    replay = peppi_py.read_slippi(str(tmp_path / "game.slp"))
    assert [player.stocks for player in replay.start.players] == [4, 4]
    assert [player.model_scale for player in replay.start.players] == [1, 1]
    assert (replay.start.timer, replay.start.damage_ratio) == (480, 1)
    assert (replay.start.scene.major, replay.start.is_teams) == (8, False)
    assert replay.metadata == {"lastFrame": len(frames) - 124, "playedOn": "made"}
    assert replay.end.method == peppi_py.game.EndMethod.NO_CONTEST


def test_who_is_out_of_stocks_comes_second(tmp_path: Path) -> None:
    frames = made_games()[0][0].copy()
    column(frames, "stocks")[-1] = (0, 2)
    write_slp(tmp_path / "game.slp", frames, Start(31, (2, 2)))
    end = peppi_py.read_slippi(str(tmp_path / "game.slp")).end
    assert end.method == peppi_py.game.EndMethod.GAME
    assert [player.placement for player in end.players] == [1, 0]


def test_pre_frame_state_is_that_of_the_frame_before(tmp_path: Path) -> None:
    frames, start = made_games()[0]
    write_slp(tmp_path / "game.slp", frames, start)
    pre = peppi_py.read_slippi(str(tmp_path / "game.slp")).frames.ports[0].leader.pre
    np.testing.assert_array_equal(pre.state.to_numpy()[1:], column(frames, "action")[:-1, 0])
    np.testing.assert_array_equal(pre.position.y.to_numpy()[1:], column(frames, "y")[:-1, 0])


def test_rollbacks_are_written_and_finalised() -> None:
    frames, start = made_games()[0]
    ids = np.arange(len(frames), dtype=np.int32) - 123
    rewound = np.concatenate([np.arange(200), np.arange(195, 300), np.arange(299, len(frames))])
    noisy = frames[rewound].copy()
    column(noisy, "x")[195:200] += 9  # what was predicted wrongly
    game = read_slp(slp_bytes(noisy, start, ids[rewound]), options=OPTIONS)
    assert game.rows["frames"].tobytes() == frames.tobytes()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("x", np.nan, Reason.NOT_FINITE),
        ("self_y", np.inf, Reason.NOT_FINITE),
        ("y", -500.5, Reason.OUT_OF_RANGE),
        ("percent", 999.5, Reason.OUT_OF_RANGE),
        ("percent", -1, Reason.OUT_OF_RANGE),
        ("shield", 60.5, Reason.OUT_OF_RANGE),
        ("knockback_x", 61, Reason.OUT_OF_RANGE),
        ("stocks", 100, Reason.OUT_OF_RANGE),
        ("stick_x", 1.5, Reason.OUT_OF_RANGE),
        ("shoulder", 1.5, Reason.OUT_OF_RANGE),
        ("hitlag", -1, Reason.OUT_OF_RANGE),
    ],
)
def test_one_impossible_value_costs_the_game(name: str, value: float, reason: Reason) -> None:
    frames = made_games()[0][0].copy()
    column(frames, name)[50, 1] = value
    assert verdict(slp_bytes(frames, made_games()[0][1])) is reason


def test_values_at_the_limits_are_accepted() -> None:
    frames = made_games()[0][0].copy()
    limits = {"x": -500, "percent": 999, "shield": 60, "self_y": 60, "stocks": 99, "stick_y": -1}
    for name, value in limits.items():
        column(frames, name)[50, 1] = value
    assert isinstance(verdict(slp_bytes(frames, made_games()[0][1])), Game)


def test_stages_for_one_player_are_another_variant() -> None:
    frames, start = made_games()[0]
    data = slp_bytes(frames, Start(285, start.characters))
    assert verdict(data) is Reason.UNSUPPORTED_VARIANT
