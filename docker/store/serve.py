"""The development store: SeaweedFS with its S3 door open and the bucket made.

Takes who may enter from ``/etc/wm-store/s3.json`` (SeaweedFS's own format) and keeps everything
under ``/data``. Only S3 listens outside: the doors behind it ask nobody who they are.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time

INSIDE, OUTSIDE = "127.0.0.1", "0.0.0.0"  # noqa: S104
PORT = 8333
FILER = 8888
PATIENCE = 60.0
"""Seconds until the server must answer."""


def command(data: str, config: str) -> list[str]:
    """The server's command line for a folder to keep everything in and the file of identities."""
    return [
        *("weed", "server", f"-dir={data}", f"-ip={INSIDE}", f"-ip.bind={INSIDE}"),
        *("-filer", f"-filer.port={FILER}", f"-filer.localSocket={data}/filer.sock"),
        *("-s3", f"-s3.port={PORT}", f"-s3.ip.bind={OUTSIDE}", f"-s3.config={config}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.localSocket={data}/s3.sock"),
        # A mistyped bucket has to be an error here as it is elsewhere.
        "-s3.autoCreateBucket=false",
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=512"),
        # Volumes are made as they are needed, as long as the disk has room.
        *("-volume.max=0", "-volume.minFreeSpace=256MiB", "-volume.preStopSeconds=0"),
    ]


def make_bucket(bucket: str, server: subprocess.Popen[bytes]) -> None:
    """Make the bucket, or find it, as soon as the server answers; TimeoutError if it never does."""
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        door = http.client.HTTPConnection(INSIDE, FILER, timeout=5)
        try:
            door.request("POST", f"/buckets/{bucket}/")  # a bucket is a folder
            if door.getresponse().status < 300:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            door.close()
        time.sleep(0.2)
    raise TimeoutError(f"the server did not make the bucket {bucket} within {PATIENCE:g} s")


def main() -> int:
    """Serve until SIGTERM; returns the exit code."""
    server = subprocess.Popen(command("/data", "/etc/wm-store/s3.json"))
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        make_bucket(os.environ.get("WM_BUCKET", "wm"), server)
    except TimeoutError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        server.kill()
        return 1
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
