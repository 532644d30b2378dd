"""What is sent, who is asked, and that the address stays a secret."""

from __future__ import annotations

import json
import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from tests.wmctl.notify.conftest import PATH, RUN, SECRET, SPEC, Site
from wm.errors import BadConfig
from wm.store import Store
from wmctl.notify import Nobody, Notifier, Webhook, open_notifier, webhook_from_environment
from wmctl.notify.messages import LONGEST, is_told, message
from wmctl.run.history import Event

URL = f"https://hooks.example{PATH}"


def test_slack_gets_json_with_its_signs_escaped(site: Site) -> None:
    hook = Webhook(site.url)
    answer = hook.send('<!channel> a & b > "c" — é', "https://page/x?a=1&b=2", 5)
    assert answer.ok
    [(path, headers, body)] = site.requests
    assert path == PATH
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "text": '&lt;!channel&gt; a &amp; b &gt; "c" — é\n<https://page/x?a=1&amp;b=2|report>'
    }
    hook.send("a", "/tmp/<page>.html", 5)
    hook.send("a", "", 5)
    texts = [json.loads(body)["text"] for _, _, body in site.requests[1:]]
    assert texts == ["a\n/tmp/&lt;page&gt;.html", "a"]


def test_plain_is_the_text_itself(site: Site) -> None:
    Webhook(site.url, "plain").send("a & <é>", "https://page", 5)
    [(_, headers, body)] = site.requests
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body.decode() == "a & <é>\nhttps://page"


def test_a_name_and_password_go_into_a_header(site: Site) -> None:
    hook = Webhook(site.url.replace("//", "//ada:p4ss@"))
    assert hook.send("a", "", 5).ok
    [(path, headers, _)] = site.requests
    assert (path, headers["Authorization"]) == (PATH, "Basic YWRhOnA0c3M=")
    assert hook.where == "http://127.0.0.1"


def test_a_name_that_nobody_knows() -> None:
    answer = Webhook(f"http://nowhere.invalid{PATH}").send("a", "", 5)
    assert (answer.ok, answer.again, answer.why) == (False, True, "its name is not known")


def test_no_secure_connection(site: Site) -> None:
    answer = Webhook(site.url.replace("http", "https")).send("a", "", 5)
    assert (answer.again, answer.why) == (True, "no trusted connection (TLS)")


def test_no_answer_in_time(site: Site) -> None:
    site.always = "hang"
    answer = Webhook(site.url).send("a", "", 0.1)
    assert (answer.again, answer.why) == (True, "no answer in time")


@pytest.mark.parametrize("answer", [200, "odd"])
def test_urllib3_does_not_tell_either(
    site: Site, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.always = answer
    hook = Webhook(site.url)
    hook.send("a", "", 5)
    assert SECRET not in caplog.text
    assert SECRET not in repr(hook) + repr(vars(Nobody()))
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}
    assert all(record.levelno < logging.WARNING for record in caplog.records)
    logging.getLogger("urllib3.connectionpool").debug("of another address")
    assert "of another address" in caplog.text
    hook.close()


NO_URLS = [
    f"hooks.example{PATH}",
    f"ftp://hooks.example{PATH}",
    f"file:///{SECRET}",
    f"https://{PATH}",
    f"https://hooks.example:{SECRET}/",
    f"https://hooks.example:99999999/{SECRET}",
    f"https://hooks.example/a b{SECRET}",
    f"https://hooks.example/a\r\nX: {SECRET}",
    f"https://[{SECRET}/",
    SECRET,
]


@pytest.mark.parametrize("value", NO_URLS)
def test_what_is_no_address_is_named_by_its_variable(value: str, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(value)
    for environ, named in (
        ({"WM_WEBHOOK_URL": value}, "WM_WEBHOOK_URL holds no"),
        ({"WM_WEBHOOK_FILE": str(file)}, "the file that WM_WEBHOOK_FILE names holds no"),
    ):
        with pytest.raises(BadConfig, match=named) as caught:
            webhook_from_environment(environ)
        shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
        assert SECRET not in shown


def test_where_none_is_asked_for(tmp_path: Path) -> None:
    assert webhook_from_environment({}) is None
    assert webhook_from_environment({"WM_WEBHOOK_URL": "", "WM_WEBHOOK_FILE": ""}) is None
    absent = {"WM_WEBHOOK_FILE": str(tmp_path / "url"), "WM_WEBHOOK_FORMAT": "plain"}
    assert webhook_from_environment(absent) is None  # a Secret that was never made


def test_the_address_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{URL}\n")
    environ = {"WM_WEBHOOK_FILE": str(tmp_path / "url")}
    hook = webhook_from_environment(environ)
    assert hook is not None
    assert (hook.where, hook.form) == ("https://hooks.example", "slack")
    (tmp_path / "format").write_text("plain\n")
    hook = webhook_from_environment(environ)
    assert hook is not None
    assert hook.form == "plain"
    hook = webhook_from_environment(environ | {"WM_WEBHOOK_FORMAT": "slack"})
    assert hook is not None
    assert hook.form == "slack"
    hook = webhook_from_environment(environ | {"WM_WEBHOOK_URL": "http://other/x"})
    assert hook is not None
    assert (hook.where, hook.form) == ("http://other", "slack")


@pytest.mark.parametrize("path", [URL, f"/no/such/{SECRET}/url", f"{SECRET}\0"])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(BadConfig, match="WM_WEBHOOK_FILE names a file") as caught:
        webhook_from_environment({"WM_WEBHOOK_FILE": path})
    assert "an address itself goes into WM_WEBHOOK_URL" in caught.value.hint
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "url").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "url", tmp_path):
        with pytest.raises(BadConfig, match="cannot be read"):
            webhook_from_environment({"WM_WEBHOOK_FILE": str(path)})


def test_an_unknown_format() -> None:
    with pytest.raises(BadConfig, match="WM_WEBHOOK_FORMAT asks for an unknown") as caught:
        webhook_from_environment({"WM_WEBHOOK_URL": URL, "WM_WEBHOOK_FORMAT": SECRET})
    assert caught.value.hint == "say slack or plain"
    assert SECRET not in caught.value.message


def test_a_notifier_where_one_is_asked_for(
    store: Store, caplog: pytest.LogCaptureFixture, expect_logs: list[str]
) -> None:
    assert isinstance(open_notifier(store, SPEC, environ={"WM_WEBHOOK_URL": URL}), Notifier)
    with open_notifier(store, SPEC, environ={}) as nobody:
        assert isinstance(nobody, Nobody)
        nobody.tell(Event(time=0, event="submitted"))
    bad = {"WM_WEBHOOK_URL": SECRET}
    with pytest.raises(BadConfig):
        open_notifier(store, SPEC, environ=bad)
    expect_logs.append(f"nobody is told how {RUN} goes: WM_WEBHOOK_URL holds no http or https")
    assert isinstance(open_notifier(store, SPEC, unattended=True, environ=bad), Nobody)
    assert expect_logs[0] in caplog.text
    assert SECRET not in caplog.text


def event(kind: str, **fields: Any) -> Event:
    """Of any kind, those included that the history does not have yet."""
    return Event.model_construct(time=time.time(), event=kind, **fields)


def test_what_people_are_told() -> None:
    for kind in ("submitted", "resumed", "gate", "chosen", "skipped", "shortened", "hung"):
        assert is_told(event(kind))
    for kind in ("over", "verdict", "finished"):
        assert is_told(event(kind, code=0))
    for kind in ("started", "interrupted", "cancelled", "swept", "unheard-of"):
        assert not is_told(event(kind))
    assert is_told(event("ended", code=137))
    assert not is_told(event("ended", code=0))


def test_a_message_names_the_run_and_has_an_end() -> None:
    assert message(event("ended", stage="train", code=70, text="boom"), RUN).startswith(
        f"{RUN}: train failed with code 70: boom"
    )
    assert message(event("unheard-of", text="it happened"), RUN) == f"{RUN}: it happened"
    long = message(event("gate", text="x" * 10_000), RUN)
    assert len(long) == LONGEST
    assert long.endswith("…")
