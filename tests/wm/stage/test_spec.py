from __future__ import annotations

import pytest
from pydantic import ValidationError

from wm.errors import BadConfig
from wm.stage import StageSpec, locate


@pytest.mark.parametrize("root", ["/var/store", "relative/store", "s3://bucket", "s3://bucket/a/b"])
def test_an_address_is_split_into_root_and_key(root: str) -> None:
    key = "runs/demo-1122-k3f9/train-chess-winner/03/spec.json"
    assert locate(f"{root}/{key}") == (root, key)


def test_a_root_may_itself_lie_in_a_folder_called_runs() -> None:
    address = "/data/runs/store/runs/r/s/01/spec.json"
    assert locate(address) == ("/data/runs/store", "runs/r/s/01/spec.json")


@pytest.mark.parametrize(
    "address",
    ["", "spec.json", "/store/runs/r/s/spec.json", "/store/runs/r/s/x/spec.json", "/s/r/s/01/a"],
)
def test_what_is_no_address_of_a_spec_is_refused(address: str) -> None:
    with pytest.raises(BadConfig, match="is not the address of a stage's spec") as caught:
        locate(address)
    assert "runs/RUN/STAGE/ATTEMPT/spec.json" in caught.value.hint


def test_an_attempts_keys_sort_in_order() -> None:
    fields = {"run": "r", "stage": "s", "kind": "encode", "config": {}}
    prefixes = [StageSpec(attempt=n, **fields).prefix for n in (2, 10)]
    assert prefixes == ["runs/r/s/02", "runs/r/s/10"]


def test_a_spec_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        StageSpec(run="r", stage="s", attempt=1, kind="encode", config={}, what="?")  # type: ignore[call-arg]
