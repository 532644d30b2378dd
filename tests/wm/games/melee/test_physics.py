import numpy as np
import pytest

from tests.support.melee import made_games
from wm.games.melee.bodies import FOX, MARTH, Action, opening
from wm.games.melee.physics import step
from wm.games.melee.schema import AIRBORNE_GROUND, BUTTONS, FRAME, column


def standing(distance: float = 100.0, character: int = FOX.internal) -> np.ndarray:
    """One game, both bodies waiting on the floor of Final Destination."""
    frames = opening(np.array([[character, character]]), np.array([32], np.uint8), 4)
    for _ in range(41):
        frames = step(frames, np.zeros(1, FRAME))
    assert (column(frames, "action") == Action.WAIT).all()
    column(frames, "x")[0] = (-distance / 2, distance / 2)
    return frames


def hold(frames: np.ndarray, count: int, *buttons: str, **axes: float) -> list[np.ndarray]:
    """The next frames while player 0 holds buttons and axes."""
    pads = np.zeros(1, FRAME)
    column(pads, "buttons")[0, 0] = sum(1 << BUTTONS.index(name) for name in buttons)
    for name, value in axes.items():
        column(pads, name)[0, 0] = value
    run = [frames]
    for _ in range(count):
        run.append(step(run[-1], pads))
    return run[1:]


def track(run: list[np.ndarray], name: str, player: int = 0) -> np.ndarray:
    return np.array([column(frames, name)[0, player] for frames in run])


def test_the_packed_frame_is_the_whole_state() -> None:
    """From any recorded frame and the inputs of the next, the next frame follows bit by bit."""
    for frames, _ in made_games():
        for t in range(0, len(frames) - 1, 7):
            again = step(frames[t : t + 1], frames[t + 1 : t + 2])
            assert again.tobytes() == frames[t + 1 : t + 2].tobytes()


def test_a_body_left_alone_waits() -> None:
    run = hold(standing(), 200)
    assert set(track(run, "x")) == {-50}
    assert set(track(run, "action")) == {Action.WAIT}
    assert track(run, "state_age").max() < 60


def test_full_and_short_hop() -> None:
    full = track(hold(standing(), 40, "X"), "y").max()
    tap = hold(standing(), 1, "X")
    short = track(hold(tap[0], 40), "y").max()
    # v^2 / 2g, within a frame's travel
    assert full == pytest.approx(FOX.full_hop**2 / 2 / FOX.gravity, abs=FOX.full_hop)
    assert short == pytest.approx(FOX.short_hop**2 / 2 / FOX.gravity, abs=FOX.short_hop)


def test_a_jump_has_its_actions_and_uses_jumps() -> None:
    run = hold(standing(), 60, "X")
    actions = list(dict.fromkeys(track(run, "action")))
    assert actions == [
        Action.KNEE_BEND,
        Action.JUMP_F,
        Action.FALL,
        Action.LANDING,
        Action.WAIT,
    ]
    in_air = track(run, "action") == Action.JUMP_F
    assert set(track(run, "jumps")[in_air]) == {1}
    assert track(run, "jumps")[-1] == 2
    assert set(track(run, "ground")[in_air]) == {AIRBORNE_GROUND}


def test_a_second_press_jumps_in_the_air_once() -> None:
    rising = hold(standing(), 12, "X")[-1]
    rest = hold(rising, 1)[-1]
    again = hold(rest, 1, "X")
    assert track(again, "action") == [Action.JUMP_AERIAL_F]
    assert track(again, "jumps") == [0]
    rest = hold(again[-1], 1)[-1]
    assert track(hold(rest, 1, "X"), "action") == [Action.JUMP_AERIAL_F]
    assert track(hold(rest, 1, "X"), "state_age")[0] == 2


def test_falling_reaches_terminal_speed_or_fast_fall() -> None:
    high = standing()
    column(high, "y")[0, 0] = 150
    column(high, "flags")[0, 0] = 1
    column(high, "action")[0, 0] = Action.FALL
    assert track(hold(high, 30), "self_y").min() == np.float16(-FOX.fall)
    assert track(hold(high, 30, stick_y=-1), "self_y").min() == np.float16(-FOX.fast_fall)


def test_dash_then_run_then_stop() -> None:
    run = hold(standing(), 20, stick_x=1.0)
    assert list(dict.fromkeys(track(run, "action"))) == [Action.DASH, Action.RUN]
    assert track(run, "self_x_ground").max() == np.float16(FOX.run)
    stop = hold(run[-1], 60)
    assert track(stop, "self_x_ground")[-1] == 0
    assert (np.diff(track(stop, "self_x_ground").astype(float)) <= 0).all()


def test_positions_change_by_the_recorded_speeds() -> None:
    frames = np.concatenate([game for game, _ in made_games()])
    moved = np.diff(column(frames, "x"), axis=0)
    speed = column(frames, "self_x_air").astype(np.float32) + column(frames, "knockback_x")
    frozen = column(frames, "hitlag")[1:] > 0
    exact = np.isclose(moved, speed[1:], atol=1e-4) | frozen
    assert exact.mean() > 0.99


def test_walking_off_the_edge_falls_to_death_and_comes_back() -> None:
    run = hold(standing(), 250, stick_x=-1.0)
    actions = list(dict.fromkeys(track(run, "action")))
    assert actions[:6] == [
        Action.DASH,
        Action.RUN,
        Action.FALL,
        Action.DEAD_DOWN,
        Action.REBIRTH,
        Action.REBIRTH_WAIT,
    ]
    assert track(run, "stocks").min() == 3
    first = track(run, "action").tolist().index(Action.REBIRTH)
    assert (track(run, "x")[first], track(run, "hurtbox")[first]) == (-20, 2)


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_a_hit_hurts_freezes_and_launches(percent: float) -> None:
    frames = standing(12)
    column(frames, "percent")[0, 1] = percent
    run = hold(frames, 60, cstick_x=1.0)
    assert track(run, "action")[0] == Action.ATTACK_S4
    hit = track(run, "percent", 1).tolist().index(percent + 15)
    assert column(run[hit], "hitlag")[0].tolist() == [8, 8]
    assert column(run[hit], "combo")[0].tolist() == [1, 0]
    assert column(run[hit], "last_attack")[0].tolist() == [10, 0]
    assert track(run, "knockback_x", 1)[hit] > 0
    frozen = track(run, "x", 1)[hit : hit + 8]
    assert set(frozen) == {6}
    assert track(run, "x", 1)[hit + 8] > 6
    assert track(run, "percent", 1)[-1] == percent + 15, "an attack hits once"


def test_knockback_grows_with_percent_and_against_weight() -> None:
    def launch(percent: float, character: int) -> float:
        frames = standing(12, character)
        column(frames, "percent")[0, 1] = percent
        return float(track(hold(frames, 25, cstick_x=1.0), "knockback_x", 1).max())

    assert launch(0, FOX.internal) < launch(60, FOX.internal) < launch(120, FOX.internal)
    assert launch(60, MARTH.internal) < launch(60, FOX.internal)


def test_a_shield_takes_the_hit_instead() -> None:
    frames = standing(12)
    column(frames, "buttons")[0, 1] = 0
    pads = np.zeros(1, FRAME)
    column(pads, "buttons")[0, 1] = 1 << BUTTONS.index("L")
    column(pads, "cstick_x")[0, 0] = 1.0
    run = [frames]
    for _ in range(40):
        run.append(step(run[-1], pads))
    assert track(run, "percent", 1).max() == 0
    assert Action.GUARD_SET_OFF in track(run, "action", 1)
    assert track(run, "shield", 1).min() < 60 - 0.7 * 15


@pytest.mark.parametrize(("shoulder", "l_cancel", "frames"), [(0.0, 2, 16), (1.0, 1, 8)])
def test_a_trigger_on_landing_halves_the_lag(shoulder: float, l_cancel: int, frames: int) -> None:
    tap = hold(standing(), 1, "X")[-1]
    up = hold(tap, 8)[-1]
    run = hold(up, 60, "A", shoulder=shoulder)
    lag = track(run, "action") == Action.LANDING_AIR_N
    assert set(track(run, "l_cancel")[lag]) == {l_cancel}
    assert lag.sum() == frames


def test_both_can_hit_in_the_same_frame() -> None:
    frames = standing(12)
    pads = np.zeros(1, FRAME)
    column(pads, "buttons")[0] = 1 << BUTTONS.index("A")
    run = [frames]
    for _ in range(6):
        run.append(step(run[-1], pads))
    assert track(run, "percent", 0)[-1] == track(run, "percent", 1)[-1] == 4
