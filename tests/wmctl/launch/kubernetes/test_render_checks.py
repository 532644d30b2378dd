"""The operator's own rules; test_render_online.py shows that a real webhook has the same."""

from __future__ import annotations

import pytest

from tests.support.pytorchjobs import ALONE, FAULTS, TWO, faulty, good
from wm.errors import BadConfig
from wmctl.launch.kubernetes.render.checks import check_pytorchjob


@pytest.mark.parametrize("name", [ALONE, TWO])
def test_what_is_rendered_is_taken(name: str) -> None:
    check_pytorchjob(good(name))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_webhook_refuses_is_refused(fault: str) -> None:
    with pytest.raises(BadConfig, match=FAULTS[fault][2]):
        check_pytorchjob(faulty(fault))
