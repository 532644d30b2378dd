"""The mirror before a server that fails in every way that API servers and proxies do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.api_server import ApiServer, Fault, api_server
from wmctl.launch.kubernetes import api as api_module
from wmctl.launch.kubernetes.api import Api
from wmctl.launch.kubernetes.errors import ApiTrouble, Forbidden, NotServed
from wmctl.launch.kubernetes.kinds import CONFIGMAPS, NAMESPACES, PODS, PYTORCHJOBS, Kind
from wmctl.launch.kubernetes.mirror import Mirror

LABELS = "wm.dev/run=demo"
WATCH = "watch=true"
SECONDS = 1.0
"""Of one watch."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(api_module, "CONNECT", 0.3)
    with api_server() as server:
        yield server


@pytest.fixture
def mirror(server: ApiServer) -> Iterator[Mirror]:
    server.put("first", phase="Pending")
    mirror = watched(server)
    mirror.wait(5)
    yield mirror
    mirror.close()


def watched(server: ApiServer, *kinds: Kind, lenient: float = 0.1) -> Mirror:
    api = Api(server.configuration, "wm")
    return Mirror(
        api, kinds or (PODS,), LABELS, watch=SECONDS, back_off=(0.02, 0.1), lenient=lenient
    )


def names(mirror: Mirror) -> list[str]:
    return [pod["metadata"]["name"] for pod in mirror.objects(PODS)]


def gone(mirror: Mirror) -> list[str]:
    return [pod["metadata"]["name"] for pod in mirror.gone(PODS)]


def phase(mirror: Mirror, name: str) -> str | None:
    found = [p["status"]["phase"] for p in mirror.objects(PODS) if p["metadata"]["name"] == name]
    return found[0] if found else None


def eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def lists(server: ApiServer) -> int:
    return sum(WATCH not in line for line in server.requests)


def test_what_is_there_and_what_changes(server: ApiServer, mirror: Mirror) -> None:
    assert names(mirror) == ["first"]
    server.put("second", phase="Pending", message="größer ✓")
    server.put("first", phase="Running")
    eventually(lambda: names(mirror) == ["first", "second"] and phase(mirror, "first") == "Running")
    assert mirror.objects(PODS)[1]["status"]["message"] == "größer ✓"
    server.remove("first")
    eventually(lambda: names(mirror) == ["second"])
    assert gone(mirror) == ["first"]
    assert mirror.gone(PODS)[0]["status"]["phase"] == "Running"
    assert mirror.trouble() == ""


def test_watches_follow_each_other_without_listing_again(server: ApiServer, mirror: Mirror) -> None:
    eventually(lambda: sum(WATCH in line for line in server.requests) >= 3)
    server.put("second", phase="Pending")
    eventually(lambda: "second" in names(mirror))
    assert lists(server) == 1
    assert all("labelSelector=wm.dev/run%3Ddemo" in line for line in server.requests)


@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_happens_to_a_watch_nothing_is_missed_or_doubled(
    server: ApiServer, mirror: Mirror, fault: Fault
) -> None:
    server.put("removed", phase="Running")
    eventually(lambda: "removed" in names(mirror))
    server.fail(fault, request=WATCH)
    eventually(lambda: any(fault.name in line for line in server.requests))
    server.put("second", phase="Running")
    server.put("first", phase="Succeeded")
    server.remove("removed")
    eventually(lambda: names(mirror) == ["first", "second"])
    eventually(lambda: phase(mirror, "first") == "Succeeded")
    assert gone(mirror) == ["removed"]
    eventually(lambda: mirror.trouble() == "")


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.GONE])
def test_a_list_that_fails_is_tried_again(server: ApiServer, fault: Fault) -> None:
    server.put("first", phase="Running")
    server.fail(fault, times=3)
    mirror = watched(server)
    mirror.wait(5)
    assert names(mirror) == ["first"]
    mirror.close()


def test_a_server_that_is_away_costs_nothing_but_time(server: ApiServer, mirror: Mirror) -> None:
    server.leave()
    eventually(lambda: mirror.trouble() != "")
    said = mirror.trouble()
    assert said.startswith("no news since ")
    assert "does not answer" in said
    assert names(mirror) == ["first"]
    time.sleep(0.5)
    assert mirror.trouble() == said  # to be written down once
    server.put("second", phase="Running")
    server.remove("first")
    server.away = False
    eventually(lambda: names(mirror) == ["second"])
    eventually(lambda: mirror.trouble() == "")
    assert gone(mirror) == ["first"]


def test_trouble_that_passes_at_once_is_not_worth_a_word(server: ApiServer) -> None:
    mirror = watched(server, lenient=30)
    mirror.wait(5)
    server.fail(Fault.ERROR, times=5)
    eventually(lambda: sum("ERROR" in line for line in server.requests) == 5)
    assert mirror.trouble() == ""
    mirror.close()


def test_what_will_not_pass_is_said_at_once(server: ApiServer) -> None:
    server.answers = [(404, "404 page not found")]
    mirror = watched(server, PYTORCHJOBS)
    with pytest.raises(NotServed, match=r"does not serve pytorchjobs\.kubeflow\.org/v1"):
        mirror.wait(30)
    mirror.close()


def test_nobody_waits_for_ever(server: ApiServer) -> None:
    server.leave()
    mirror = watched(server)
    begin = time.monotonic()
    with pytest.raises(ApiTrouble):
        mirror.wait(0.5)
    assert time.monotonic() - begin < 2
    assert mirror.objects(PODS) == []
    mirror.close()


def test_a_right_that_is_taken_away_is_named(server: ApiServer, mirror: Mirror) -> None:
    words = (
        'pods is forbidden: User "system:serviceaccount:wm:wm-conductor" cannot watch resource '
        '"pods" in API group "" in the namespace "wm"'
    )
    server.answers = [(403, words)] * 50
    eventually(lambda: "wm-conductor may not watch pods in namespace wm" in mirror.trouble())
    server.answers = []
    eventually(lambda: mirror.trouble() == "")


def test_on_a_real_cluster() -> None:
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no cluster: KUBECONFIG is not set")
    api = Api.connect(f"wm-test-mirror-{os.getpid()}")
    try:
        api.server_version()
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": api.namespace}})
    except (ApiTrouble, Forbidden) as error:
        pytest.skip(f"no cluster: {error.message}")
    mirror = Mirror(api, (CONFIGMAPS, PODS), LABELS, watch=2)
    try:
        mirror.wait(10)
        body = config_map("kept", LABELS)
        api.apply(body)
        api.apply(config_map("other", "wm.dev/run=another"))
        eventually(lambda: [o["metadata"]["name"] for o in mirror.objects(CONFIGMAPS)] == ["kept"])
        time.sleep(3)  # over the end of a watch
        api.apply(body | {"data": {"key": "new"}})
        eventually(lambda: mirror.objects(CONFIGMAPS)[0].get("data") == {"key": "new"})
        assert api.delete(CONFIGMAPS, "kept")
        eventually(lambda: mirror.objects(CONFIGMAPS) == [])
        assert [o["metadata"]["name"] for o in mirror.gone(CONFIGMAPS)] == ["kept"]
        assert mirror.trouble() == ""
    finally:
        mirror.close()
        api.delete(NAMESPACES, api.namespace)


def config_map(name: str, label: str) -> dict[str, object]:
    key, _, value = label.partition("=")
    metadata = {"name": name, "labels": {key: value}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
