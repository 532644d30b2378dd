import threading

import pytest
import torch

from trainer.ahead import Ahead

CPU = torch.device("cpu")


def test_the_next_batch_is_made_while_the_last_one_is_in_use() -> None:
    made: list[tuple[int, str]] = []
    second = threading.Event()

    def make(step: int) -> int:
        made.append((step, threading.current_thread().name))
        if step == 4:
            second.set()
        return step * step

    ahead = Ahead(make, CPU, threaded=True)
    assert ahead.take(3, last=False) == 9
    assert second.wait(10), "nobody made the next one"
    assert ahead.take(4, last=True) == 16
    assert [step for step, _ in made] == [3, 4]
    assert {name.partition("_")[0] for _, name in made} == {"batches"}


def test_another_step_than_the_next_is_made_when_it_is_asked_for() -> None:
    ahead = Ahead(lambda step: step, CPU, threaded=True)
    ahead.take(0, last=False)

    assert ahead.take(7, last=True) == 7


def test_what_goes_wrong_while_a_batch_is_made_is_told_where_it_is_taken() -> None:
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("no such row")
        return step

    ahead = Ahead(make, CPU, threaded=True)
    ahead.take(0, last=False)
    with pytest.raises(ValueError, match="no such row"):
        ahead.take(1, last=False)


def test_a_cpu_makes_batches_when_they_are_asked_for() -> None:
    made: list[int] = []
    ahead = Ahead(made.append, CPU)
    ahead.take(0, last=False)

    assert made == [0]
