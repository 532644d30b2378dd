"""Everything a report says, collected from the store alone."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from wm.artifacts.dataset import Manifest, load_manifest
from wm.artifacts.model import ModelCard, load_card
from wm.artifacts.result import ArenaResult
from wm.stage.spec import Heartbeat
from wm.store import Store
from wmctl.launch.kubernetes.platform import read_platform
from wmctl.run.fold import read_state
from wmctl.run.heartbeat import read_heartbeat
from wmctl.run.history import Event, History
from wmctl.run.metrics import read_metrics
from wmctl.run.outlook import Outlook, read_outlook
from wmctl.run.spec import RunSpec
from wmctl.run.state import RunState
from wmctl.show.decisions import decisions
from wmctl.show.standing import Standing, standing
from wmctl.show.tail import last_words


@dataclass(slots=True)
class Training:
    """One train stage: its curves over all attempts, and the model it made."""

    label: str
    game: str
    points: list[dict[str, Any]] = field(default_factory=list)
    """Lines of ``metrics.jsonl`` in order of step; of repeated steps the last attempt's."""
    card: ModelCard | None = None

    def curve(self, event: str, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) of a metric in ``train`` or ``validate`` lines."""
        found = [
            (point["step"], value)
            for point in self.points
            if point["event"] == event
            and (value := point.get("metrics", point).get(name)) is not None
        ]
        return [step for step, _ in found], [value for _, value in found]


@dataclass(slots=True)
class Report:
    """A run as the report shows it."""

    spec: RunSpec
    state: RunState
    datasets: dict[str, Manifest]
    """Encode node -> its data set's manifest."""
    trainings: dict[str, Training]
    """Train node -> its curves."""
    arenas: dict[str, ArenaResult]
    """Arena node -> its result."""
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    """Running node -> how far it is."""
    images: dict[str, str] = field(default_factory=dict)
    """Stage -> image by digest, as its pods ran it; empty for a run of one machine."""
    events: list[Event] = field(default_factory=list)
    """The history that the state was read from."""
    ahead: Outlook | None = None
    """The newest forecast."""
    words: dict[str, list[str]] = field(default_factory=dict)
    """Stage that runs or has failed -> the last lines of its log."""

    def standing(self, now: float) -> Standing:
        """Cost and finish at ``now``, against budget and deadline."""
        return standing(self.spec, self.state, self.ahead, now)

    def as_json(self) -> dict[str, Any]:
        """The report for machines: verdicts with evidence, cost, decisions, figures, lineage."""
        now = time.time()
        how, terms = self.standing(now), self.state.terms
        return {
            "run": self.spec.run,
            "plan": self.spec.plan.name,
            "finished": self.state.finished.text if self.state.finished else None,
            "code": self.state.finished.code or 0 if self.state.finished else None,
            "verdicts": {
                name: {"outcome": event.outcome, "text": event.text} | event.detail
                for name, event in self.state.verdicts.items()
            },
            "gates": {name: event.text for name, event in self.state.gates.items()},
            "cost": how.cost(),
            "forecast": how.forecast(),
            "terms": terms.model_dump(mode="json", exclude={"estimates"})
            | {"budget": self.spec.plan.budget, "confidence": self.spec.plan.confidence},
            "choices": {
                name: {"text": event.text} | event.detail
                for name, event in self.state.choices.items()
            },
            "decisions": [line.as_json() for line in decisions(self.events)],
            "stages": {
                node.label: {
                    "phase": own.phase,
                    "attempts": own.attempt,
                    "seconds": own.ended - own.started if own.ended > own.started > 0 else None,
                    "usd": round(self.state.usd_of_node(node, now), 6),
                    "why": own.why,
                    "result": own.result,
                }
                for node in self.spec.nodes
                for own in [self.state.nodes[node.name]]
            },
            # By way of text: JSON has no NaN, the artifact writes it as a word.
            "arenas": {n: json.loads(r.model_dump_json()) for n, r in self.arenas.items()},
            "lineage": self.lineage(),
            "images": self.images,
            "swept": self.state.swept.text if self.state.swept else None,
        }

    def lineage(self) -> list[dict[str, Any]]:
        """Model by model: weights, the data they learned from, and what that was made of."""
        rows = []
        for training in self.trainings.values():
            if training.card is None:
                continue
            card = training.card
            made = next((m for m in self.datasets.values() if m.key == card.data), None)
            rows.append(
                {
                    "model": card.key,
                    "weights_sha256": card.weights.sha256,
                    "data": card.data,
                    "inputs_sha256": made.inputs.sha256 if made else None,
                    "inputs": made.inputs.names if made else [],
                    "inputs_count": made.inputs.count if made else 0,
                }
            )
        return rows


def collect(store: Store, spec: RunSpec) -> Report:
    """Read what a run has made so far."""
    events = History(store, spec.run).events
    state = read_state(spec, events)
    report = Report(spec, state, {}, {}, {}, events=events)
    if not state.finished:
        report.ahead = read_outlook(store, spec.run)
    report.words = last_words(store, spec, state, ("running", "failed"))
    for node in spec.nodes:
        if (last := state.nodes[node.name].last) and (pods := last.detail.get("pods")):
            report.images[node.label] = pods[0].get("image", "")
    if report.images:
        report.images["conductor"] = read_platform(store, spec.run).images["conductor"]
    for node in spec.nodes:
        own = state.nodes[node.name]
        if own.phase == "running" and (
            beat := read_heartbeat(store, spec.run, node.name, own.attempt)
        ):
            report.heartbeats[node.name] = beat
        if node.kind == "train":
            training = Training(
                node.label, node.game, _points(store, spec.run, node.name, own.attempt)
            )
            if "model" in own.result:
                training.card = load_card(store, own.result["model"])
            report.trainings[node.name] = training
        elif node.kind == "encode" and "dataset" in own.result:
            report.datasets[node.name] = load_manifest(store, own.result["dataset"])
        elif node.kind == "arena" and "result" in own.result:
            data = store.get(own.result["result"])
            report.arenas[node.name] = ArenaResult.model_validate_json(data)
    return report


def _points(store: Store, run: str, stage: str, attempts: int) -> list[dict[str, Any]]:
    points: dict[tuple[str, int], dict[str, Any]] = {}
    for attempt in range(1, attempts + 1):
        for point in read_metrics(store, run, stage, attempt):
            points[point["event"], point["step"]] = point
    return sorted(points.values(), key=lambda point: point["step"])
