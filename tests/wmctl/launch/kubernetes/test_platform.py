from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wm.errors import BadConfig, BadData, InputMissing
from wm.store import open_store
from wmctl.launch.kubernetes.platform import (
    Platform,
    Profile,
    load_images,
    read_platform,
    write_platform,
)
from wmctl.launch.profiles import load_profiles

DIGEST = f"sha256:{'a' * 64}"
IMAGES = [
    {"name": f"wm-{part}", "newName": f"registry.example/wm-{part}", "digest": DIGEST}
    for part in ("encoder", "trainer", "evaluator", "conductor", "store")
]
PLATFORM = Platform(
    store="s3://games/wm",
    images=dict.fromkeys(("encoder", "trainer", "evaluator", "conductor"), f"r/i@{DIGEST}"),
    profiles={"h100": Profile(selector={"gpu": "h100"}, spot={"spot": "true"}, price_per_hour=2)},
    version="0.1.0",
)


def write(path: Path, tree: object) -> Path:
    path.write_text(yaml.safe_dump(tree))
    return path


def test_images_are_those_that_were_pushed(tmp_path: Path) -> None:
    path = write(tmp_path / "kustomization.yaml", {"kind": "Component", "images": IMAGES})
    assert load_images(path) == {
        part: f"registry.example/wm-{part}@{DIGEST}"
        for part in ("encoder", "trainer", "evaluator", "conductor")
    }


def test_before_the_first_push_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no images were pushed yet") as caught:
        load_images(tmp_path / "kustomization.yaml")
    assert "make build push REGISTRY=" in caught.value.hint


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "has no list of images"),
        (["wm-encoder"], "has no list of images"),
        (IMAGES[1:], "does not name the image wm-encoder"),
        ([{**IMAGES[0], "digest": None}, *IMAGES[1:]], "wm-encoder needs newName and a digest"),
        ([{**IMAGES[0], "digest": "latest"}, *IMAGES[1:]], "wm-encoder needs newName and a digest"),
        ([{**IMAGES[0], "newName": ""}, *IMAGES[1:]], "wm-encoder needs newName and a digest"),
        (
            [{"name": "wm-encoder", "newName": "r/wm-encoder", "newTag": "1.0"}, *IMAGES[1:]],
            "wm-encoder needs newName and a digest",
        ),
    ],
)
def test_an_image_that_is_not_by_digest_is_refused(
    tmp_path: Path, images: object, message: str
) -> None:
    path = write(tmp_path / "kustomization.yaml", {"images": images})
    with pytest.raises(BadConfig, match=message) as caught:
        load_images(path)
    assert "make build push REGISTRY=" in caught.value.hint


@pytest.mark.parametrize("content", [b"images: [", b"- 1", b"\xff\xfe\x00", b""])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    for load in (load_images, load_profiles):
        with pytest.raises(BadConfig, match=r"file\.yaml"):
            load(path)


def test_profiles_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "profiles.yaml",
        {
            "h100-spot": {
                "selector": {"gpu": "h100"},
                "tolerations": [{"key": "spot", "operator": "Exists"}],
                "price_per_hour": 2.5,
                "spot": {"spot": "true"},
            },
            "fake": {"selector": {"wm.dev/gpu": "fake"}},
        },
    )
    profiles = load_profiles(path)
    assert profiles["h100-spot"].node_selector == {"gpu": "h100", "spot": "true"}
    assert profiles["fake"] == Profile(selector={"wm.dev/gpu": "fake"})
    assert profiles["fake"].resource == "nvidia.com/gpu"


def test_shipped_profiles_are_read() -> None:
    profiles = load_profiles(Path(__file__).parents[4] / "k8s" / "profiles.yaml")
    assert profiles
    assert profiles.pop("cpu").price_per_vcpu_hour
    assert all(p.price_per_hour is not None for p in profiles.values())


@pytest.mark.parametrize(
    ("profile", "message"),
    [({"selectr": {}}, "selectr"), ({"price_per_hour": -1}, "price_per_hour"), ("h100", "fake")],
)
def test_a_wrong_profile_is_named(tmp_path: Path, profile: object, message: str) -> None:
    path = write(tmp_path / "profiles.yaml", {"fake": profile})
    with pytest.raises(BadConfig, match=message) as caught:
        load_profiles(path)
    assert "selector" in caught.value.hint


def test_an_unknown_gpu_is_named_with_those_that_are_known() -> None:
    assert PLATFORM.profile("h100", "train").price_per_hour == 2
    with pytest.raises(BadConfig, match=r"stage train: .*'H100'.*did you mean 'h100'") as caught:
        PLATFORM.profile("H100", "train")
    assert "profiles: h100" in caught.value.hint


def test_pods_need_a_store_that_they_can_reach() -> None:
    with pytest.raises(BadConfig, match="/home/me/store") as caught:
        Platform(store="/home/me/store", images={}, version="0.1.0")
    assert "s3://" in caught.value.hint


def test_the_platform_of_the_newest_submission_holds(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    write_platform(store, "demo", PLATFORM)
    assert read_platform(store, "demo") == PLATFORM
    later = PLATFORM.model_copy(update={"version": "0.2.0"})
    write_platform(store, "demo", later)
    assert read_platform(store, "demo") == later


def test_a_run_of_no_cluster_has_no_platform(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="demo was not submitted to a cluster"):
        read_platform(open_store(str(tmp_path)), "demo")


@pytest.mark.parametrize("content", [b"{}", b"x", b'{"namespace": 1}'])
def test_a_damaged_platform_is_named(tmp_path: Path, content: bytes) -> None:
    store = open_store(str(tmp_path))
    store.put("runs/demo/platform.json", content)
    with pytest.raises(BadData, match=r"runs/demo/platform\.json is damaged"):
        read_platform(store, "demo")
