from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_api import FakeApi
from tests.support.runs import PLAN, small_run
from wm.errors import BadConfig
from wm.store import Store, open_store
from wmctl.launch.kubernetes import clear as clearing
from wmctl.launch.kubernetes.clear import clear, runs_on
from wmctl.launch.kubernetes.platform import Platform, read_platform
from wmctl.launch.kubernetes.submit import check_cluster, launch, make_platform, manifests
from wmctl.run.history import History
from wmctl.run.spec import RunSpec
from wmctl.run.terms import Terms

IMAGES = dict.fromkeys(("encoder", "trainer", "evaluator", "conductor"), "r/i@sha256:0")
PLATFORM = Platform(store="s3://games/wm", images=IMAGES, version="0")
TERMS = Terms(on="kubernetes", deadline=9e9)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def node(**allocatable: str) -> dict[str, Any]:
    room = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {}},
        "spec": {},
        "status": {"allocatable": room | allocatable},
    }


def cluster(**allocatable: str) -> FakeApi:
    api = FakeApi()
    api.objects["nodes", "n1"] = node(**allocatable)
    return api


def over(body: dict[str, Any]) -> None:
    body["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}


def test_a_run_is_set_off_by_its_owner_and_its_conductor(store: Store) -> None:
    api = FakeApi()
    assert launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    assert list(api.objects) == [("configmaps", "wm-r"), ("jobs", "r-conductor")]
    [reference] = api.objects["jobs", "r-conductor"]["metadata"]["ownerReferences"]
    assert reference["uid"] == api.objects["configmaps", "wm-r"]["metadata"]["uid"]
    assert read_platform(store, "r") == PLATFORM
    [submitted] = History(store, "r").events
    assert (submitted.event, submitted.detail["deadline"]) == ("submitted", 9e9)


def test_what_is_under_way_is_left_alone(store: Store) -> None:
    api = FakeApi()
    launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    later = PLATFORM.model_copy(update={"version": "1"})
    assert not launch(api, store, small_run(), later, TERMS)  # type: ignore[arg-type]
    assert read_platform(store, "r").version == "0"


def test_the_conductor_of_an_earlier_submission_is_replaced(store: Store) -> None:
    api = FakeApi()
    launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    over(api.objects["jobs", "r-conductor"])
    later = PLATFORM.model_copy(update={"version": "1"})
    assert launch(api, store, small_run(), later, TERMS)  # type: ignore[arg-type]
    assert "status" not in api.objects["jobs", "r-conductor"]
    assert read_platform(store, "r").version == "1"
    assert [event.event for event in History(store, "r").events] == ["submitted", "resumed"]


def test_a_run_of_that_name_in_another_store_is_named(store: Store, tmp_path: Path) -> None:
    api = FakeApi()
    launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    over(api.objects["jobs", "r-conductor"])
    api.objects["configmaps", "wm-r"]["data"]["store"] = "s3://elsewhere"
    with pytest.raises(BadConfig, match="keeps its things in s3://elsewhere"):
        launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]


def test_a_conductor_that_is_about_to_go_is_waited_for(store: Store) -> None:
    api = FakeApi()
    launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    History(store, "r").append("finished", code=64)
    body = api.objects["jobs", "r-conductor"]
    ending = threading.Timer(0.5, over, [body])
    ending.start()
    assert launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    assert api.objects["jobs", "r-conductor"] is not body
    ending.join()


def test_every_object_of_a_run_can_be_shown_before() -> None:
    names = [body["metadata"]["name"] for body in manifests(small_run(), PLATFORM)]
    stages = ["enc", "train-winner", "train-loser", "arena"]
    assert names == ["wm-r", "r-conductor", *(f"r-{stage}-01" for stage in stages)]


def test_a_cluster_with_room_is_accepted() -> None:
    check_cluster(cluster(), small_run(), PLATFORM)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("room", "word"), [({"memory": "1Gi"}, "memory"), ({"cpu": "500m"}, "cpu")]
)
def test_a_stage_that_no_node_could_ever_run_is_refused(room: dict[str, str], word: str) -> None:
    with pytest.raises(BadConfig, match=f"no node could ever run .*{word}"):
        check_cluster(cluster(**room), small_run(), PLATFORM)  # type: ignore[arg-type]


def run_from(source: str) -> RunSpec:
    return small_run(data={"chess": PLAN["data"]["chess"] | {"source": source}})


def prepare(store: Store, spec: RunSpec, folder: Path) -> Platform:
    images = folder / "images.yaml"
    entries = "".join(
        f"- {{name: wm-{name}, newName: r/i, digest: 'sha256:{'0' * 64}'}}\n" for name in IMAGES
    )
    images.write_text(f"images:\n{entries}")
    return make_platform(
        store,
        spec.plan,
        spec.nodes,
        namespace="wm",
        images=images,
        profiles={},
        queue=None,
    )


def test_a_source_on_this_machine_is_refused_with_the_way_to_upload_it(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(BadConfig) as refused:
        prepare(store, run_from("/data/games.pgn"), tmp_path)
    assert "pods cannot read /data/games.pgn" in refused.value.message
    assert "wmctl data push /data/games.pgn chess/chess" in refused.value.hint


def test_a_store_on_this_machine_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="pods cannot reach a store at"):
        prepare(store, run_from("made:8"), tmp_path)


def test_clearing_a_run_away_finds_what_lost_its_owner(store: Store) -> None:
    api = FakeApi()
    for run in ("r", "other"):
        launch(api, store, small_run().model_copy(update={"run": run}), PLATFORM, TERMS)  # type: ignore[arg-type]
    del api.objects["configmaps", "wm-r"]
    assert runs_on(api) == {"r": 1, "other": 2}  # type: ignore[arg-type]
    assert clear(api, "r") == 1  # type: ignore[arg-type]
    assert runs_on(api) == {"other": 2}  # type: ignore[arg-type]


def test_what_does_not_go_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "GONE_WITHIN", 0.0)
    api = FakeApi()
    launch(api, store, small_run(), PLATFORM, TERMS)  # type: ignore[arg-type]
    api.delete = lambda kind, name, **options: True  # type: ignore[method-assign]
    with pytest.raises(BadConfig, match="r-conductor"):
        clear(api, "r")  # type: ignore[arg-type]
