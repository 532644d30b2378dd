"""A store that is away for a while, and what is not worth waiting for."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from botocore.exceptions import EndpointConnectionError, SSLError

from tests.support.faults import Fault, FaultyProxy, faulty_proxy
from tests.support.s3 import S3Server, free_ports
from wm.errors import BadConfig, StoreUnreachable
from wm.store import open_store, patience
from wm.store.patience import Patience, patience_from_environment
from wm.store.s3 import S3Store


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(patience, "SAY_AFTER", 0.2)


@pytest.fixture
def proxy(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        yield proxy


def test_an_outage_is_waited_out_and_told_once(
    proxy: FaultyProxy, s3_url: str, caplog: pytest.LogCaptureFixture, expect_logs: list[str]
) -> None:
    """With more failures than botocore's six tries would outlast."""
    expect_logs += ["store away", "the store is back"]
    store = S3Store(s3_url, patience=30)
    store.put("k", b"before")
    proxy.fail(Fault.SLOW_DOWN, times=100_000)
    writers = [
        threading.Thread(target=store.put, args=(f"k{n}", b"%d" % n), daemon=True) for n in range(8)
    ]
    for writer in writers:
        writer.start()
    time.sleep(1.5)
    proxy.heal()
    for writer in writers:
        writer.join(10)
    assert [store.get(f"k{n}") for n in range(8)] == [b"%d" % n for n in range(8)]
    assert sum("SLOW_DOWN" in request for request in proxy.requests) > 6 * len(writers)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "store away: the store asks to slow down; trying for 30 s"
    assert told[1].startswith("the store is back after ")
    assert len(told) == 2


def test_a_server_that_comes_up_late_is_waited_for(
    s3_server: S3Server,
    s3_url: str,
    monkeypatch: pytest.MonkeyPatch,
    expect_logs: list[str],
) -> None:
    expect_logs += ["store away: nothing answers there", "the store is back"]
    port = free_ports(1)[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    store = S3Store(s3_url, patience=20)
    writer = threading.Thread(target=store.put, args=("k", b"late"), daemon=True)
    writer.start()
    time.sleep(0.6)
    with faulty_proxy(s3_server.port, port):
        writer.join(10)
        assert store.get("k") == b"late"


def test_a_store_that_stays_away_is_given_up_after_the_time(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, expect_logs: list[str]
) -> None:
    expect_logs.append("store away: nothing answers there; trying for 0.5 s")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("WM_STORE_PATIENCE", "0.5")
    store, began = open_store(s3_url), time.monotonic()
    with pytest.raises(StoreUnreachable, match=r"cannot write k at .*: nothing answers there"):
        store.put("k", b"")
    assert 0.5 <= time.monotonic() - began < 2


def test_a_silent_blip_is_not_worth_a_line(proxy: FaultyProxy, s3_url: str) -> None:
    proxy.fail(Fault.INTERNAL, times=2)
    S3Store(s3_url, patience=30).put("k", b"")
    assert len(proxy.requests) == 3


def no_such_name() -> EndpointConnectionError:
    gone = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return EndpointConnectionError(endpoint_url="https://s3.exmaple", error=gone)


def test_a_name_that_never_resolved_is_not_waited_for(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.exmaple")
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match="there is no machine of that name") as caught:
        S3Store(s3_url, patience=60).get("k")
    assert time.monotonic() - began < 5
    assert "AWS_ENDPOINT_URL" in caught.value.hint


def wait_for(patience: Patience, error: Exception) -> float | None:
    return patience.needs_retry(
        response=None,
        caught_exception=error,
        operation=None,
        attempts=1,
        request_dict={"context": {}},
    )


def test_a_name_that_has_answered_before_is_waited_for(proxy: FaultyProxy, s3_url: str) -> None:
    store = S3Store(s3_url, patience=60)
    assert wait_for(store._patience, no_such_name()) is None
    store.put("k", b"")
    assert wait_for(store._patience, no_such_name())


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), True),
        (ssl.SSLEOFError("EOF occurred in violation of protocol"), True),
        (ssl.SSLCertVerificationError("self-signed certificate"), False),
    ],
)
def test_what_may_pass_and_what_will_not(error: Exception, passing: bool) -> None:
    kind = SSLError if isinstance(error, ssl.SSLError) else EndpointConnectionError
    wrapped = kind(endpoint_url="https://s3.example", error=error)
    assert (wait_for(Patience(60, "b"), wrapped) is not None) is passing


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_patience_that_is_no_time_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WM_STORE_PATIENCE", value)
    with pytest.raises(BadConfig, match=f"WM_STORE_PATIENCE is '{value}', which is no number"):
        patience_from_environment()
