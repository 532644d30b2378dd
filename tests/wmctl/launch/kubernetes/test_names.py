from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm.errors import BadConfig
from wmctl.launch.base import StageJob
from wmctl.launch.kubernetes.names import (
    check_name,
    conductor_name,
    labels,
    object_name,
    owner_name,
)
from wmctl.plan.model import NAME

RFC1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

names = st.from_regex(re.compile(NAME, re.ASCII), fullmatch=True)
runs = st.builds("{}-1122-{}".format, names, st.from_regex(r"[a-z2-9]{4}", fullmatch=True))
attempts = st.integers(1, 120)


@given(runs, names, attempts)
def test_names_and_what_controllers_make_of_them_are_labels(
    run: str, stage: str, attempt: int
) -> None:
    for name in (object_name(run, stage, attempt), conductor_name(run)):
        assert len(name) <= 52
        assert RFC1035.fullmatch(f"{name}-worker-99")
    assert RFC1035.fullmatch(owner_name(run))


@given(runs, names, names, attempts, attempts)
def test_attempts_have_names_of_their_own(run: str, a: str, b: str, i: int, j: int) -> None:
    assert (object_name(run, a, i) == object_name(run, b, j)) == ((a, i) == (b, j))
    assert conductor_name(run) != object_name(run, a, i)


def test_a_short_name_says_it_all() -> None:
    job = StageJob(run="demo-1122-k3f9", stage="train-chess", attempt=1, kind="train", spec="")
    assert object_name(job.run, job.stage, job.attempt) == job.name
    assert conductor_name("demo-1122-k3f9") == "demo-1122-k3f9-conductor"
    assert owner_name("demo-1122-k3f9") == "wm-demo-1122-k3f9"


def test_a_long_name_keeps_its_attempt() -> None:
    name = object_name("overnight-with-everything-1122-k3f9", "train-melee-hidden-1024", 2)
    assert name.startswith("overnight-with-everything-1122-k3f9-trai")
    assert name.endswith("-02")
    assert name[:-3] == object_name(
        "overnight-with-everything-1122-k3f9", "train-melee-hidden-1024", 3
    ).removesuffix("-03")


@pytest.mark.parametrize("name", ["", "Run", "1run", "run-", "a" * 64, "a_b", "a.b", "rün", "a\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadConfig, match="cannot name an object"):
        check_name(name)


@given(runs, names, attempts, st.text(max_size=80))
def test_every_label_is_one_that_a_cluster_takes(
    run: str, stage: str, attempt: int, version: str
) -> None:
    found = labels(run, stage, attempt, "train", version)
    assert all(LABEL_VALUE.fullmatch(value) for value in found.values()), found


def test_labels_say_what_it_is() -> None:
    assert labels("demo-1122-k3f9", "arena-chess", 2, "arena", "1.4.0+g3e9d") == {
        "app.kubernetes.io/name": "evaluator",
        "app.kubernetes.io/component": "arena",
        "app.kubernetes.io/part-of": "wm",
        "app.kubernetes.io/instance": "demo-1122-k3f9",
        "app.kubernetes.io/managed-by": "wmctl",
        "app.kubernetes.io/version": "1.4.0-g3e9d",
        "wm.dev/run": "demo-1122-k3f9",
        "wm.dev/stage": "arena-chess",
        "wm.dev/attempt": "2",
    }
