"""The same plan over a bucket: every stage process reads and writes S3 alone."""

from __future__ import annotations

import pytest

from tests.support.tiny import run, wmctl
from wm.store import open_store
from wmctl.run.find import list_runs

CHESS_ONLY = """
name: over-s3
data: {chess: {game: chess, source: "made:40?seed=1"}}
stages:
  encode: {encode: chess, workers: 1, split: {val: 0.2, test: 0.1}}
  train:
    train: lstm
    data: encode
    model: {embed: 8, hidden: 16, layers: 1}
    steps: 6
    batch: 4
    threads: 1
    checkpoint_every: 3
  arena: {arena: chess, players: [train, random], pairs: 2, max_plies: 30, bootstrap: 100}
verdicts:
  chess: {arena: arena, candidate: train, criteria: [{metric: elo, against: random, above: 0}]}
"""


@pytest.mark.timeout(300)
def test_a_run_over_a_bucket_ends_with_a_verdict(
    s3_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plan = tmp_path_factory.mktemp("plan") / "plan.yaml"
    plan.write_text(CHESS_ONLY)
    done = run(wmctl(s3_url, "submit", str(plan)))
    assert done.returncode == 0, done.stdout + done.stderr
    store = open_store(s3_url)
    [spec] = list_runs(store)
    assert b"</html>" in store.get(f"runs/{spec.run}/index.html")
    again = run(wmctl(s3_url, "submit", str(plan)))
    assert "is finished" in again.stdout
