from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.melee_records import made_records
from wm.games.melee.schema import AIRBORNE_GROUND, FRAME, column
from wm.models.melee_features import (
    CATEGORIES,
    FrameEmbedding,
    decode,
    numeric,
    stack,
)


def one_frame() -> tuple[np.ndarray, torch.Tensor]:
    frame = np.zeros(1, FRAME)
    return frame, torch.from_numpy(frame.view(np.uint8).reshape(1, 104))


def test_columns_come_out_in_game_units() -> None:
    frame, records = one_frame()
    column(frame, "x")[:] = (-12.5, 80.0625)
    column(frame, "percent")[:] = (3.25, 120.5)
    column(frame, "knockback_y")[:] = (0, 2.5)
    column(frame, "hitlag")[:] = (0, 7)
    column(frame, "stocks")[:] = (4, 1)
    column(frame, "state_age")[:] = (-1, 33)
    column(frame, "action")[:] = (14, 345)
    column(frame, "character")[:] = (1, 18)
    frame["stage"] = 31

    frames = decode(records)

    assert frames.position[0, :, 0].tolist() == [-12.5, 80.0625]
    assert frames.core[0, :, 0].tolist() == [3.25, 120.5]
    assert frames.velocity[0, 1].tolist() == [0, 0, 0, 0, 2.5]
    assert frames.dynamics[0].tolist() == [[0, 4, 0], [7, 1, 0]]
    assert frames.state_age.tolist() == [[-1, 33]]
    assert frames.action.tolist() == [[14, 345]]
    assert frames.character.tolist() == [[1, 18]]
    assert frames.stage.tolist() == [31]


@pytest.mark.parametrize(
    ("name", "raw", "id_"),
    [
        ("ground", AIRBORNE_GROUND, 0),
        ("ground", 0, 1),
        ("ground", 54, 31),
        ("action", 525, 399),
        ("last_attack", 200, 63),
        ("jumps", 9, 7),
    ],
)
def test_categories_are_clipped_into_their_vocabularies(name: str, raw: int, id_: int) -> None:
    frame, records = one_frame()
    column(frame, name)[:] = raw
    assert decode(records).categories[0, :, list(CATEGORIES).index(name)].tolist() == [id_, id_]


def test_controllers_lie_between_0_and_1() -> None:
    frame, records = one_frame()
    column(frame, "stick_x")[:] = (-1, 1)
    column(frame, "shoulder")[:] = (0, 0.5)
    column(frame, "buttons")[:] = (0b0000_0001, 0b1000_0010)
    first, second = decode(records).controller[0].tolist()
    assert first == [0, 0.5, 0.5, 0.5, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert second == [1, 0.5, 0.5, 0.5, 0.5, 0, 1, 0, 0, 0, 0, 0, 1]


def test_flags_are_three_bits() -> None:
    frame, records = one_frame()
    column(frame, "flags")[:] = (0b001, 0b110)
    assert decode(records).binary[0].tolist() == [[1, 0, 0], [0, 1, 1]]
    assert decode(records).on_ground[0].tolist() == [False, True]


def test_numbers_have_the_prototypes_order_and_scales() -> None:
    frame, records = one_frame()
    for value, name in enumerate(("percent", "x", "y", "shield", "self_x_air", "self_y"), 1):
        column(frame, name)[:] = value
    column(frame, "hitlag")[:] = 5
    column(frame, "stocks")[:] = 2
    row = numeric(decode(records), state_age_embed=True)[0, 0]
    assert row[:6].tolist() == pytest.approx([0.01, 0.1, 0.15, 0.04, 0.25, 0.3])
    assert row[9:12].tolist() == pytest.approx([0.5, 0.5, 0])
    column(frame, "state_age")[:] = 30
    wider = numeric(decode(records), state_age_embed=False)[0, 0]
    assert (len(row), len(wider)) == (28, 29)
    assert wider[9].item() == pytest.approx(0.3)


@pytest.mark.parametrize(("embed", "width", "tables"), [(True, 196, 15_080), (False, 182, 13_880)])
def test_frame_vector_is_as_wide_as_the_prototypes(embed: bool, width: int, tables: int) -> None:
    embedding = FrameEmbedding(embed)
    frames = decode(made_records()[:2, :5])
    vectors = embedding(frames, torch.zeros(()), torch.ones(()))
    assert vectors.shape == (2, 5, width) == (2, 5, embedding.width)
    assert sum(p.numel() for p in embedding.parameters()) == tables


def test_indexing_and_stacking_undo_each_other() -> None:
    frames = decode(made_records()[:3, :4])
    again = stack([frames[:, t] for t in range(4)], dim=1)
    assert torch.equal(again.core, frames.core)
    assert torch.equal(again.stage, frames.stage)
