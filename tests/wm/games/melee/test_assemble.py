import numpy as np
import pytest
from pydantic import ValidationError

from tests.support.melee import made_games
from wm.games.game import Reason, Rejected
from wm.games.melee.assemble import Columns, assemble, identity, pack, pack_buttons, pack_flags
from wm.games.melee.checks import count_revisits
from wm.games.melee.options import MeleeOptions, version_number
from wm.games.melee.schema import BUTTONS, COLUMN_TYPES, FLAGS, column
from wm.games.melee.vocabulary import count_outside

FACTS = {"stage": 31, "port0": 1, "port1": 2, "version": 31600}


def columns() -> Columns:
    frames = made_games()[0][0]
    return {name: column(frames, name).copy() for name in COLUMN_TYPES}


def test_packing_is_the_inverse_of_columns() -> None:
    frames = made_games()[0][0]
    assert pack(columns(), int(frames["stage"][0])).tobytes() == frames.tobytes()


def test_identity_is_over_what_was_played() -> None:
    frames = made_games()[0][0]
    same = identity(frames)
    assert len(same) == 32
    assert int(same, 16) >= 0

    less_precise = frames.copy()
    column(less_precise, "percent")[:] = np.trunc(column(frames, "percent"))
    less_precise["stage"] = 0
    assert identity(less_precise) == same

    for name in ("action", "x", "y", "character"):
        other = frames.copy()
        column(other, name)[200, 1] += 1
        assert identity(other) != same, name
    assert identity(frames[:-1]) != same


def test_absent_columns_are_refused_unless_allowed() -> None:
    held = columns()
    del held["hitlag"]
    with pytest.raises(Rejected) as caught:
        assemble(dict(held), dict(FACTS), [], MeleeOptions())
    assert (caught.value.reason, caught.value.detail) == (Reason.MISSING_FIELD, "hitlag")
    game = assemble(held, dict(FACTS), ["percent"], MeleeOptions(may_lack=frozenset({"hitlag"})))
    assert game.missing == ("hitlag", "percent")


def test_the_reason_names_column_value_and_row() -> None:
    bad = columns()
    bad["y"][7, 1] = 1e30
    with pytest.raises(Rejected) as caught:
        assemble(bad, dict(FACTS), [], MeleeOptions())
    assert caught.value.detail.startswith("y of player 1 is 1e+30 at row 7")


def test_values_beyond_float16_are_judged_before_they_are_narrowed() -> None:
    bad = columns()
    bad["state_age"] = bad["state_age"].astype(np.float32)
    bad["state_age"][0, 0] = 1e6
    with pytest.raises(Rejected) as caught:
        assemble(bad, dict(FACTS), [], MeleeOptions())
    assert caught.value.reason is Reason.OUT_OF_RANGE


def test_bits_follow_the_schema() -> None:
    pressed = {name: np.array([[i % 2 == 0, False]]) for i, name in enumerate(BUTTONS)}
    assert pack_buttons(pressed).tolist() == [[0b01010101, 0]]
    on, off = np.array([[True]]), np.array([[False]])
    hurtbox = np.array([[2]])
    assert FLAGS == ("facing", "on_ground", "invulnerable")
    assert pack_flags(on, off, hurtbox).tolist() == [[0b101]]
    assert pack_flags(off, on, 0 * hurtbox).tolist() == [[0b010]]


@pytest.mark.parametrize(
    ("name", "values", "outside"),
    [
        ("action", [399, 400, 525], 2),
        ("ground", [65535, 0, 30, 31, 36], 2),
        ("state_age", [-1.0, 149.5, 150.0], 1),
    ],
)
def test_counting_outside_a_vocabulary(name: str, values: list[float], outside: int) -> None:
    assert count_outside(name, np.array(values)) == outside


def test_versions_compare_as_numbers() -> None:
    assert MeleeOptions(min_version="3.10.0").min_version_number == version_number(3, 10, 0)
    assert version_number(3, 9, 0) < version_number(3, 10, 0) < version_number(4, 0, 0)
    with pytest.raises(ValidationError):
        MeleeOptions(min_version="3.9")
    with pytest.raises(ValidationError):
        MeleeOptions.model_validate({"min_frame": 60})


def test_revisited_rows_are_counted_where_a_body_moves() -> None:
    held = columns()
    assert count_revisits(held) == 0
    moving = np.flatnonzero(
        (np.abs(held["self_x_air"]) > 1).any(axis=1) & (held["hitlag"] == 0).all(axis=1)
    )
    twice = np.sort(np.append(np.arange(len(held["x"])), moving[:9]))
    assert count_revisits({name: values[twice] for name, values in held.items()}) == 9
