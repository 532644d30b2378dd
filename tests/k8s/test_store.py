"""The dev store: its pod, its throw-away keys, and that production has neither."""

from __future__ import annotations

import configparser
import json

from tests.k8s.manifests import K8S, load, named

DEV = load("overlays/dev/*.yaml")


def test_the_stores_pod_meets_pod_security_restricted():
    pod = named(DEV, "StatefulSet", "wm-store")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {next(iter(v.keys() - {"name"})) for v in pod["volumes"]} == {"emptyDir", "secret"}
    [store] = pod["containers"]
    assert store["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_applying_again_never_replaces_the_pod_that_holds_the_data():
    spec = named(DEV, "StatefulSet", "wm-store")["spec"]
    assert spec["updateStrategy"] == {"type": "OnDelete"}


def test_what_the_store_is_told_to_keep_fits_its_volume():
    pod = named(DEV, "StatefulSet", "wm-store")["spec"]["template"]["spec"]
    flags = dict(a.split("=") for a in pod["containers"][0]["args"])
    room = {v["name"]: v["emptyDir"]["sizeLimit"] for v in pod["volumes"] if "emptyDir" in v}
    full = int(flags["-volume.max"]) * int(flags["-master.volumeSizeLimitMB"]) / 1024
    assert full < int(room["data"].removesuffix("Gi"))


def test_both_files_of_the_throw_away_keys_say_the_same():
    [identity] = json.loads((K8S / "overlays/dev/s3.json").read_text())["identities"]
    [keys] = identity["credentials"]
    credentials = configparser.ConfigParser()
    credentials.read(K8S / "overlays/dev/credentials")
    assert dict(credentials["default"]) == {
        "aws_access_key_id": keys["accessKey"],
        "aws_secret_access_key": keys["secretKey"],
    }
    assert "for-trying-out-only" in keys["secretKey"]


def test_a_misspelt_bucket_is_an_error_as_it_is_elsewhere():
    [identity] = json.loads((K8S / "overlays/dev/s3.json").read_text())["identities"]
    pod = named(DEV, "StatefulSet", "wm-store")["spec"]["template"]["spec"]
    assert set(identity["actions"]) == {"Read", "List", "Write", "Tagging"}
    assert "-s3.autoCreateBucket=false" in pod["containers"][0]["args"]


def test_runs_reach_the_store_where_it_listens():
    service = named(DEV, "Service", "wm-store")["spec"]
    [port] = service["ports"]
    [rule] = named(DEV, "NetworkPolicy", "runs-to-store")["spec"]["egress"]
    [ingress] = named(DEV, "NetworkPolicy", "store")["spec"]["ingress"]
    labels = named(DEV, "StatefulSet", "wm-store")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert rule["to"] == [{"podSelector": {"matchLabels": service["selector"]}}]
    assert rule["ports"] == ingress["ports"] == [{"protocol": "TCP", "port": port["port"]}]
    assert port["nodePort"] == 30833
