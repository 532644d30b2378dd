"""The way to the API server: who we are, time-outs, and what a broken connection means."""

from __future__ import annotations

import codecs
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from kubernetes import config as kube_config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from yaml import YAMLError

from wm.errors import BadConfig
from wmctl.launch.kubernetes.errors import ApiUnreachable

CONNECT = 5.0
"""Seconds that a connection may take."""
REBUILD = 1500.0
"""Seconds after which the client is made anew: certificates and tokens rotate under long runs."""


def configured() -> Configuration:
    """As the pod's service account inside a cluster, else as kubectl would; else BadConfig."""
    configuration = Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                os.environ.get("KUBECONFIG"), client_configuration=configuration
            )
    except (ConfigException, OSError, ValueError, YAMLError) as error:
        raise BadConfig(
            f"no Kubernetes cluster is configured: {error}",
            hint="set KUBECONFIG to your cluster's file; kubectl get nodes should answer",
        ) from error
    return configuration


class Connection:
    """Sends requests; threads may share it. What cannot be sent or read is ApiUnreachable."""

    def __init__(self, configure: Callable[[], Configuration]) -> None:
        """``configure`` says where the server is and who we are; it is asked again now and then."""
        self._configure = configure
        self._lock = threading.Lock()
        self._client: ApiClient | None = None
        self._made = 0.0

    def send(
        self,
        method: str,
        path: str,
        parameters: list[tuple[str, Any]],
        body: dict[str, Any] | None,
        content: str,
        read: float,
    ) -> urllib3.BaseHTTPResponse:
        """The answer, whatever its status, its body not read yet.

        ``content`` is the body's media type, ``read`` the seconds between two bytes of the answer.
        """
        client = self._current()
        response = _send(client, method, path, parameters, body, content, read)
        if response.status == 401:
            # Credentials may have rotated: once more, with those of now.
            response.close()
            client = self._renewed(client)
            response = _send(client, method, path, parameters, body, content, read)
        return response

    def _current(self) -> ApiClient:
        with self._lock:
            if self._client is None or time.monotonic() - self._made > REBUILD:
                return self._make()
            return self._client

    def _renewed(self, refused: ApiClient) -> ApiClient:
        with self._lock:
            if self._client is None or self._client is refused:  # else a thread was faster
                return self._make()
            return self._client

    def _make(self) -> ApiClient:
        configuration = self._configure()
        # Trouble is ours to handle, and urllib3 would log each retry as a warning.
        configuration.retries = False
        self._client, self._made = ApiClient(configuration), time.monotonic()
        self._client.user_agent = "wmctl"
        return self._client


def read_all(response: urllib3.BaseHTTPResponse) -> bytes:
    """The whole body of an answer."""
    try:
        return response.read()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise unreachable(error) from error


def read_lines(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    """Lines as they arrive; what a broken connection left of the last one is dropped."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    rest = ""
    try:
        for chunk in response.stream(65536, decode_content=True):
            *whole, rest = (rest + decode(chunk)).split("\n")
            yield from filter(None, whole)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise unreachable(error) from error


def unreachable(error: Exception, client: ApiClient | None = None) -> ApiUnreachable:
    """The error for people."""
    where = f"the API server {client.configuration.host}" if client else "the API server"
    return ApiUnreachable(
        f"{where} does not answer: {_cause(error)}",
        hint="see whether kubectl get nodes answers, and that KUBECONFIG names your cluster",
    )


def _send(
    client: ApiClient,
    method: str,
    path: str,
    parameters: list[tuple[str, Any]],
    body: dict[str, Any] | None,
    content: str,
    read: float,
) -> urllib3.BaseHTTPResponse:
    serialised = client.param_serialize(
        method,
        path,
        query_params=parameters,
        header_params={"Accept": "application/json", "Content-Type": content},
        body=body,
        auth_settings=["BearerToken"],
    )
    try:
        answer = client.call_api(*serialised, _request_timeout=(CONNECT, read))
    except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        raise unreachable(error, client) from error
    response: urllib3.BaseHTTPResponse = answer.response
    return response


def _cause(error: Exception) -> str:
    """Why there was no answer: the last words of an error from below."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "no answer in time"
    if type(error) is urllib3.exceptions.ConnectTimeoutError:  # others are kinds of it
        return "no connection in time"
    if isinstance(error, ValueError):
        return "what it sent cannot be read"
    text = str(getattr(error, "reason", "") or error)
    # "HTTPSConnection(host=…): Failed to …: [Errno 111] Connection refused",
    # "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: … (_ssl.c:1006)"
    last = re.split(r"\[Errno -?\d+\] |\[SSL[^]]*\] ", text)[-1]
    return re.sub(r" \(_ssl.*|[)']+$", "", last) or type(error).__name__
