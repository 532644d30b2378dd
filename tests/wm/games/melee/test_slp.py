from pathlib import Path

import numpy as np
import peppi_py
import pytest

from tests.support.melee import made_games, verdict
from wm.games.game import Game, Reason, Rejected
from wm.games.melee.options import MeleeOptions
from wm.games.melee.schema import BUTTONS, FLAGS, FRAME, column
from wm.games.melee.slp import finalised, read_slp
from wm.games.melee.slp_write import slp_bytes

OLD, CPU = Reason.UNSUPPORTED_VERSION, Reason.PLAYERS
REAL: dict[str, int | Reason] = {
    "peppi_console_name": OLD,
    "peppi_corrupt": Reason.UNREADABLE,
    "peppi_game": OLD,
    "peppi_iceclimbers_v1.0": OLD,
    "peppi_ics2": 9519,
    "peppi_items": OLD,
    "peppi_netplay": OLD,
    "peppi_nintendont": OLD,
    "peppi_old_ver": OLD,
    "peppi_rollback23pct_v3.15": 5023,
    "peppi_sheik_zelda_transform_v1.7": OLD,
    "peppi_short132frames_v3.9": 132,
    "peppi_unknown_event": OLD,
    "peppi_v2.0": OLD,
    "peppi_v3.12_short": 124,
    "peppi_v3.13_ports1_3": 148,
    "peppi_v3.16_short": 308,
    "peppi_v3.18_fod": CPU,
    "slippiai_ranked_diamond_v3.16": 6402,
}
RANKED = "slippiai_ranked_diamond_v3.16"


@pytest.fixture
def real(shared_data: Path) -> Path:
    return shared_data / "slp"


def read(real: Path, name: str, **options: object) -> Game:
    return read_slp(real / f"{name}.slp", options=MeleeOptions.model_validate(options))


def test_every_real_replay_has_its_verdict(real: Path) -> None:
    found = {}
    for path in sorted(real.glob("*.slp")):
        result = verdict(path)
        found[path.stem] = len(result) if isinstance(result, Game) else result
    assert found == REAL


def test_rows_undone_by_rollbacks_are_dropped(real: Path) -> None:
    path = real / "peppi_rollback23pct_v3.15.slp"
    assert len(peppi_py.read_slippi(str(path)).frames.id) == 6517
    last = peppi_py.read_slippi(str(path), rollback_mode=peppi_py.RollbackMode.LAST)
    x = last.frames.ports[1].leader.post.position.x.to_numpy()
    np.testing.assert_array_equal(column(verdict(path).rows["frames"], "x")[:, 1], x)


def test_facts_of_a_replay_on_ports_1_and_3(real: Path) -> None:
    game = read(real, "peppi_v3.13_ports1_3")
    assert game.facts == {
        "stage": 32,
        "port0": 1,
        "port1": 3,
        "version": 31300,
        "character0": 1,
        "character1": 23,
    }
    assert game.missing == ()


def test_columns_are_those_of_the_replay(real: Path) -> None:
    game = read(real, RANKED)
    frames = game.rows["frames"]
    leader = peppi_py.read_slippi(str(real / f"{RANKED}.slp")).frames.ports[1].leader
    pre, post = leader.pre, leader.post
    assert frames.dtype == FRAME
    assert set(np.unique(frames["stage"])) == {31}
    for name, source in {
        "x": post.position.x,
        "percent": post.percent,
        "knockback_y": post.velocities.knockback_y,
        "action": post.state,
        "jumps": post.jumps,
        "cstick_y": pre.cstick.y,
    }.items():
        values = column(frames, name)[:, 1]
        np.testing.assert_array_equal(values, source.to_numpy().astype(values.dtype), name)

    flags = column(frames, "flags")[:, 1]
    sources = [
        post.direction.to_numpy() > 0,
        post.airborne.to_numpy() == 0,
        post.hurtbox_state.to_numpy() != 0,
    ]
    for i, (name, source) in enumerate(zip(FLAGS, sources, strict=True)):
        np.testing.assert_array_equal((flags >> i & 1) == 1, source, name)
        assert 0 < source.sum() < len(source), name


def test_hands_or_game_as_the_source_of_buttons(real: Path) -> None:
    physical = read(real, RANKED).rows["frames"]
    processed = read(real, RANKED, controller="processed").rows["frames"]
    bit_a, bit_z = (1 << BUTTONS.index(name) for name in ("A", "Z"))
    pressed_z = (column(physical, "buttons") & bit_z) > 0
    assert pressed_z.any()
    # The game takes Z for A as well.
    differs = column(physical, "buttons") != column(processed, "buttons")
    assert (column(processed, "buttons")[differs] & bit_a).all()
    assert pressed_z[differs].all()
    assert (column(physical, "shoulder") != column(processed, "shoulder")).any()


def test_upgraded_replays_have_no_physical_buttons(real: Path) -> None:
    with pytest.raises(Rejected) as caught:
        read(real, "peppi_v3.18_fod", require_human=False)
    assert caught.value.reason is Reason.MISSING_FIELD
    assert "controller: processed" in caught.value.detail
    assert len(read(real, "peppi_v3.18_fod", require_human=False, controller="processed")) == 941


def test_ice_climbers_are_played_without_nana(real: Path) -> None:
    assert read(real, "peppi_ics2").missing == ("nana",)


def test_values_outside_vocabularies_are_counted(real: Path) -> None:
    assert read(real, RANKED).clipped == {"state_age": 50}
    assert read(real, "peppi_v3.12_short").clipped == {"ground": 85}
    with pytest.raises(Rejected, match="state_age is outside its vocabulary of 150"):
        read(real, RANKED, max_clipped=0.001)


def test_short_games_are_refused(real: Path) -> None:
    with pytest.raises(Rejected, match="308 frames, fewer than 309"):
        read(real, "peppi_v3.16_short", min_frames=309)


def test_columns_older_replays_lack_are_named(real: Path) -> None:
    with pytest.raises(Rejected) as caught:
        read(real, "peppi_netplay", min_version="3.7.0")
    assert (caught.value.reason, caught.value.detail) == (Reason.MISSING_FIELD, "hitlag")
    game = read(real, "peppi_netplay", min_version="3.7.0", may_lack=["hitlag"])
    assert game.missing == ("hitlag",)
    assert not column(game.rows["frames"], "hitlag").any()


def test_constant_velocity_on_a_ranked_replay(real: Path) -> None:
    """Golden values of the facts sheet: they move if rows, players or columns get mixed up."""
    frames = read(real, RANKED).rows["frames"]
    position = np.stack([column(frames, "x"), column(frames, "y")]).astype(float)
    speed = np.stack(
        [
            column(frames, "self_x_air").astype(float) + column(frames, "knockback_x"),
            column(frames, "self_y").astype(float) + column(frames, "knockback_y"),
        ]
    )
    copy = np.abs(position[:, 1:] - position[:, :-1]).mean()
    recorded = np.abs(position[:, 1:] - position[:, :-1] - speed[:, :-1]).mean()
    last_change = np.abs(np.diff(position, n=2, axis=1)).mean()
    assert copy == pytest.approx(0.643, abs=0.005)
    assert last_change == pytest.approx(0.231, abs=0.005)
    assert recorded == pytest.approx(0.204, abs=0.005)


@pytest.mark.parametrize("source", ["real", "made"])
def test_damaged_replays_end_as_game_or_reason(source: str, shared_data: Path) -> None:
    if source == "real":
        intact = (shared_data / "slp" / "peppi_v3.16_short.slp").read_bytes()
    else:
        intact = slp_bytes(*made_games()[0])
    rng = np.random.default_rng(0)
    verdicts = [verdict(flip_bits(intact, rng)) for _ in range(40)]
    reasons = {v for v in verdicts if isinstance(v, Reason)}
    assert reasons >= {Reason.PARSER_PANIC, Reason.UNREADABLE, Reason.OUT_OF_RANGE}
    for game in (v for v in verdicts if isinstance(v, Game)):
        for name in ("x", "y", "percent", "shield", "self_y", "state_age"):
            assert np.isfinite(column(game.rows["frames"], name)).all()


def flip_bits(data: bytes, rng: np.random.Generator, count: int = 20) -> bytes:
    damaged = np.frombuffer(data, np.uint8).copy()
    damaged[rng.integers(len(data), size=count)] ^= np.uint8(1) << rng.integers(
        8, size=count, dtype=np.uint8
    )
    return damaged.tobytes()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"not a replay", b"\0" * 1000, b"{U\x03raw[$U#l\0\0\0\0"]
)
def test_what_is_no_replay_is_unreadable(data: bytes) -> None:
    assert verdict(data) is Reason.UNREADABLE


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_truncated_replays_are_unreadable(share: float) -> None:
    data = slp_bytes(*made_games()[0])
    assert verdict(data[: int(len(data) * share)]) is Reason.UNREADABLE


def test_finalised_keeps_the_last_visit() -> None:
    ids = np.array([-123, -122, -121, -122, -121, -120, -120, -119], np.int32)
    assert finalised(ids).tolist() == [0, 3, 4, 6, 7]


def test_finalised_drops_what_the_last_rollback_undid() -> None:
    """The file ends amid a rollback: -121 belongs to a past that did not happen."""
    assert finalised(np.array([-123, -122, -121, -122], np.int32)).tolist() == [0, 3]


@pytest.mark.parametrize("ids", [[-122, -121], [-123, -121], [-123, -122, -120]])
def test_finalised_refuses_gaps(ids: list[int]) -> None:
    with pytest.raises(Rejected, match="not consecutive"):
        finalised(np.array(ids, np.int32))


def test_no_frames_is_empty() -> None:
    with pytest.raises(Rejected) as caught:
        finalised(np.array([], np.int32))
    assert caught.value.reason is Reason.EMPTY


def test_the_commonest_damage_is_named_in_plain_words() -> None:
    frames, start = made_games(1)[0]
    whole = slp_bytes(frames, start)
    for data, words in [(b"a text file", "not a Slippi replay"), (whole[:-900], "cut off")]:
        with pytest.raises(Rejected) as rejected:
            read_slp(data, options=MeleeOptions())
        assert rejected.value.detail.startswith(words)
