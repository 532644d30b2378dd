"""Random nights on the simulated cluster: how many keep their promises, and how long that takes.

    PYTHONPATH=. python benchmarks/nights.py --nights 10000

Half of them are of any kind (tests/support/nights.py: cases), half have trouble with trainings
only and owe a real verdict. Any broken promise ends the run with the night that broke it.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from hypothesis import HealthCheck, given, seed, settings

from tests.support.nights import Case, cases, check_judged, trainings_in_trouble


def run(job: tuple[int, int]) -> Counter[str]:
    """Some nights of both families, from a seed of their own."""
    number, count = job
    logging.disable(logging.CRITICAL)
    seen: Counter[str] = Counter()

    def note(case: Case, family: str) -> None:
        night = case.run()
        if family == "trouble":
            check_judged(night)
        seen["nights"] += 1
        seen["events"] += len(night.events)
        seen["hours"] += round((night.events[-1].time - night.events[0].time) / 3600)
        seen.update(f"verdict {e.outcome}" for e in night.events if e.event == "verdict")
        seen.update(
            e.event
            for e in night.events
            if e.event in ("shortened", "skipped", "hung", "over", "priced", "chosen", "gate")
        )

    everything = settings(
        max_examples=count // 2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    @seed(2 * number)
    @everything
    @given(cases())
    def any_kind(case: Case) -> None:
        note(case, "any")

    @seed(2 * number + 1)
    @everything
    @given(trainings_in_trouble())
    def trouble(case: Case) -> None:
        note(case, "trouble")

    any_kind()
    trouble()
    return seen


def main() -> None:
    """Share the nights out over the cores, and add up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nights", type=int, default=400)
    nights = parser.parse_args().nights
    cores = len(os.sched_getaffinity(0))
    chunk = 100
    began = time.perf_counter()
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(cores) as pool:
        for seen in pool.map(run, [(i, chunk) for i in range(-(-nights // chunk))]):
            total += seen
    seconds = time.perf_counter() - began
    print(f"{total['nights']} nights in {seconds:.0f} s on {cores} cores: no promise was broken")
    for name, count in sorted(total.items()):
        print(f"  {name:16} {count:,}")


if __name__ == "__main__":
    main()
