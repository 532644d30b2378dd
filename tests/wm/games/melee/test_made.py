from pathlib import Path

import numpy as np
import peppi_py
import pytest

from tests.support.melee import made_games
from wm.games.melee import made
from wm.games.melee.bodies import CHARACTERS, STAGES
from wm.games.melee.made import play, write_replays
from wm.games.melee.options import MeleeOptions
from wm.games.melee.schema import column
from wm.games.melee.slp import read_slp

OPTIONS = MeleeOptions()


def test_written_replays_are_read_back_to_the_same_frames(tmp_path: Path) -> None:
    paths = write_replays(tmp_path / "raw", 3, seed=1, frames=300)
    for path, (frames, start) in zip(paths, play(3, 1, 300), strict=True):
        game = read_slp(path, options=OPTIONS)
        assert game.rows["frames"].tobytes() == frames.tobytes()
        assert (game.missing, game.clipped) == ((), {})
        players = peppi_py.read_slippi(str(path), skip_frames=True).start.players
        assert [player.character for player in players] == list(start.characters)


def test_a_game_depends_on_its_number_not_on_the_count(tmp_path: Path) -> None:
    few = write_replays(tmp_path / "few", 2, seed=5, frames=200)
    many = write_replays(tmp_path / "many", 66, seed=5, frames=200)
    assert [p.name for p in few] == [p.name for p in many[:2]]
    assert [p.read_bytes() for p in few] == [p.read_bytes() for p in many[:2]]
    assert len({p.read_bytes() for p in many}) == 66


def test_games_differ_by_seed() -> None:
    one, other = (made_games(1, seed, 150)[0][0] for seed in (1, 2))
    assert one.tobytes() != other.tobytes()


def test_a_game_ends_a_second_after_the_last_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "STOCKS", 1)
    games = [frames for frames, _ in play(16, 3, 900)]
    ended = [frames for frames in games if len(frames) < 900]
    assert ended
    for frames in ended:
        over = (column(frames, "stocks") == 0).any(axis=1)
        assert over.sum() == 60


def test_games_are_worth_learning_from() -> None:
    """What the demo rests on: varied games in which constant speed is a poor guess at h = 10."""
    games = [frames for frames, _ in play(24, 11, 900)]
    frames = np.concatenate(games)
    position = [np.stack([column(g, "x"), column(g, "y")], -1).astype(float) for g in games]
    copy = np.concatenate([(p[10:] - p[:-10]).ravel() for p in position])
    constant = np.concatenate(
        [(p[11:] - p[1:-10] - 10 * (p[1:-10] - p[:-11])).ravel() for p in position]
    )
    assert 3 < np.abs(copy).mean() < 8
    assert 2.5 < np.abs(constant).mean() < 8
    assert len(np.unique(column(frames, "action"))) >= 25
    assert set(np.unique(column(frames, "character"))) == {c.internal for c in CHARACTERS}
    assert set(np.unique(frames["stage"])) == {s.external for s in STAGES}
    airborne = (column(frames, "flags") & 2) == 0
    assert 0.25 < airborne.mean() < 0.6
    hits = sum((np.diff(column(g, "percent"), axis=0) > 0).sum() for g in games)
    assert hits / len(games) > 4
    assert {3, 4} <= set(np.unique(column(frames, "stocks")))
