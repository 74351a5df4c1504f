"""Whatever happens in whatever order: a copy is made only of what left service well, and of the template that served.

A history of one Deployment and one beside it is told to the functions that keep the records, look by look. Beside them
stands a ledger that a person could keep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lazaretto.api import AIIncident, ModelRevision
from lazaretto.api.meta import LABEL_COPY
from lazaretto.domain.compromise import diagnose
from lazaretto.domain.copy_of_record import copy_body, copy_labels, is_as_made, records_out_of_service
from lazaretto.domain.digests import resolve
from lazaretto.domain.identity import identity_of
from lazaretto.domain.known_good import KnownGoodCriteria
from lazaretto.domain.proposal import planned
from lazaretto.domain.recorded_template import keeping, template_of
from lazaretto.domain.retirement import MOST_RECORDS, served, surplus
from lazaretto.domain.revision_record import Look, revision_status, revocations, unrecorded
from lazaretto.domain.scene import Workload
from lazaretto.domain.soak import LONGEST_GAP, Soak, soaked, stored
from lazaretto.domain.traffic import FLOWS
from lazaretto.workloads.deployment import workload_of
from tests.unit.domain.objects import MODEL, at, incident, metadata

NAMES = ("a", "b")
SOAK = 120.0


def template(run: int, note: str) -> dict[str, Any]:
    """Pinned; the `note` is what a person may write without making it another revision."""
    container = {"name": "server", "image": f"registry.example/chat@sha256:{run:064x}"}
    return {"metadata": {"labels": {"app": "chat"}, "annotations": {"note": note}}, "spec": {"containers": [container]}}


@dataclass
class Fact:
    """What is really true of one identity, as far as somebody looked."""

    earned: float = 0.0
    counted: bool = False
    notes: set[str] = field(default_factory=set)
    """Notes of templates that were seen to serve."""


@dataclass
class History:
    """Two Deployments of a model, and its records."""

    runs: dict[str, tuple[int, str]] = field(default_factory=lambda: {"a": (0, ""), "b": (1, "")})
    down: set[str] = field(default_factory=set)
    at_zero: set[str] = field(default_factory=set)
    broke: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    """When each became available last; scaling to zero and replacing a template are no reason not to be."""
    incidents: dict[str, AIIncident] = field(default_factory=dict)
    records: list[ModelRevision] = field(default_factory=list)
    soaks: dict[str, Soak] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    seconds: float = 0.0

    def objects(self) -> list[dict[str, Any]]:
        """As the API server would show them."""
        found = []
        for name, (run, note) in self.runs.items():
            replicas = 0 if name in self.at_zero else 2
            ready = 0 if name in self.down else replicas
            since = at(0) + timedelta(seconds=self.broke[name])
            condition = {"type": "Available", "status": "False" if name in self.down and replicas else "True"}
            condition["lastTransitionTime"] = since.isoformat()
            spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "chat"}}, "template": template(run, note)}
            status = {"replicas": replicas, "updatedReplicas": replicas, "readyReplicas": ready}
            status |= {"conditions": [condition], "observedGeneration": 1}  # type: ignore[dict-item]
            meta = {"name": name, "uid": f"uid-{name}", "generation": 1}
            found.append({"metadata": meta, "spec": spec, "status": status})
        return found

    def look(self, *, after: float, restart: bool) -> None:
        """One survey."""
        self.seconds += after
        objects = self.objects()
        workloads = [workload_of(obj) for obj in objects]
        self.soaks = {} if restart else self.soaks
        for body in unrecorded(MODEL, workloads, self.records):
            made = ModelRevision.read(body)
            labels = {"labels": made.metadata.labels, "creation_timestamp": at(0) + timedelta(seconds=self.seconds)}
            self.records.append(
                made.model_copy(update={"metadata": metadata(made.metadata.name).model_copy(update=labels)})
            )
        templates = {obj["metadata"]["uid"]: obj["spec"]["template"] for obj in objects}
        self.records = [self._looked(record, workloads, templates) for record in self.records]
        for record in self.records:
            self._prove(record, objects, after=after, restart=restart)
        gone = surplus(self.records, workloads=workloads, containment=None, keep=())
        self.records = [r for r in self.records if r not in gone]

    def _looked(self, record: ModelRevision, workloads: list[Workload], templates: dict[str, Any]) -> ModelRevision:
        running = [w for w in workloads if w.identity == record.spec.identity]
        revoked = revocations(record, incidents=self.incidents.values(), containment=None, workloads=workloads)
        look = Look(workloads, revoked, resolve(running, pods={}), FLOWS)
        moment, uid = at(0) + timedelta(seconds=self.seconds), record.metadata.uid
        remembered, sight = self.soaks.get(uid), look.sight(record, now=moment)
        soak = soaked(stored(record.status), remembered=remembered, sight=sight, now=moment, steady=self.seconds)
        past = served(
            record.status,
            remembered=remembered,
            running=running,
            serves=sight.serves,
            spoiled=bool(revoked),
            now=moment,
            steady=self.seconds,
        )
        kept = keeping(record, look.available(record) if sight.serves else (), templates=templates)
        self.soaks[uid] = soak
        status = revision_status(record, look=look, soak=soak, served=past, kept=kept, now=moment)
        return record.model_copy(update={"status": status})

    def _prove(self, record: ModelRevision, objects: list[dict[str, Any]], *, after: float, restart: bool) -> None:
        fact = self.facts.setdefault(record.spec.identity, Fact())
        running = [o for o in objects if identity_of(o["spec"]["template"]) == record.spec.identity]
        targets = {i.spec.target.revision for i in self.incidents.values() if i.spec.target}
        if record.metadata.name in targets or targets & {o["metadata"]["name"] for o in running}:
            fact.earned, fact.counted = 0.0, False
            return
        serving = [o for o in running if o["status"]["readyReplicas"]]
        if serving:
            fact.notes |= {o["spec"]["template"]["metadata"]["annotations"]["note"] for o in serving}
            fact.earned += after if fact.counted and after <= LONGEST_GAP and not restart else 0.0
            fact.counted = True
            return
        failed = any(o["spec"]["replicas"] for o in running) and fact.counted
        fact.earned = 0.0 if failed else fact.earned
        fact.counted = False

    def check(self, *, named: str | None) -> None:
        """An incident comes now: what a copy would be made of must be beyond doubt."""
        workloads = [workload_of(obj) for obj in self.objects()]
        records = records_out_of_service(self.records, workloads)
        criteria = KnownGoodCriteria(require_attested=False, soak=timedelta(seconds=SOAK), may_copy=True)
        revoked = {i.spec.target.revision for i in self.incidents.values() if i.spec.target and i.spec.target.revision}
        found = diagnose(
            workloads,
            named=named,
            held=(),
            revisions=self.records,
            revoked=revoked,
            criteria=criteria,
            records=records,
        ).known_good
        event("nobody" if found is None else "runs" if found.workload.exists else "by a copy")
        if found is None or found.workload.exists:
            return
        identity = found.workload.identity
        assert identity not in {w.identity for w in workloads}
        record = next(r for r in self.records if r.spec.identity == identity)
        assert not record.status.revoked_by
        assert record.metadata.name not in revoked
        assert self.facts[identity].earned >= SOAK
        assert record.status.recorded is not None
        kept = template_of(record.status.recorded)
        assert identity_of(kept) == identity
        assert kept["metadata"].get("annotations", {}).get("note", "") in self.facts[identity].notes
        body = copy_body(planned(found, bad=workloads), kept, model=MODEL, apart_from=[w.selector for w in workloads])
        assert identity_of(body["spec"]["template"]) == identity
        labels = body["spec"]["template"]["metadata"]["labels"]
        assert not any(w.selector.items() <= labels.items() for w in workloads)
        assert is_as_made(body, body)


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("look"), st.sampled_from([60.0, 90.0, 90.0, 170.0, 200.0]), st.sampled_from([False] * 7 + [True])
        ),
        st.tuples(st.just("look"), st.sampled_from([90.0, 170.0]), st.just(False)),
        st.tuples(st.just("deploy"), st.sampled_from(NAMES), st.integers(0, 4)),
        st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(["x", "y"])),
        st.tuples(st.sampled_from(["fall", "rise", "zero", "one", "open", "close"]), st.sampled_from(NAMES), st.none()),
    ),
    max_size=30,
)


def happen(history: History, what: str, one: Any, two: Any) -> None:
    """One event, and a look at it."""
    match what:
        case "look":
            history.look(after=one, restart=two)
            return
        case "deploy":
            history.runs[one] = (two, history.runs[one][1])
        case "write":
            history.runs[one] = (history.runs[one][0], two)
        case "fall":
            history.down.add(one)
        case "rise":
            if one in history.down:
                history.down.discard(one)
                history.broke[one] = history.seconds
        case "zero":
            history.at_zero.add(one)
        case "one":
            history.at_zero.discard(one)
        case "open":
            history.incidents[one] = incident(f"chat-{one}", revision=one)
        case _:
            history.incidents.pop(one, None)
    history.look(after=1.0, restart=False)


@given(EVENTS, st.none() | st.sampled_from(NAMES))
@settings(max_examples=400)
def test_a_copy_is_made_of_nothing_that_is_not_beyond_doubt(
    events: list[tuple[str, Any, Any]], named: str | None
) -> None:
    history = History()
    for after in (0.0, 90.0, 90.0):
        history.look(after=after, restart=False)
    for each in events:
        happen(history, *each)
        history.check(named=named)


@given(st.lists(st.integers(0, 40), max_size=60))
@settings(max_examples=50)
def test_records_are_bounded_through_any_rollouts_and_what_earned_most_stays(runs: list[int]) -> None:
    history = History()
    for after in (0.0, 90.0, 90.0):
        history.look(after=after, restart=False)
    first = history.records[0].metadata.name
    for run in runs:
        history.runs["a"] = (run + 2, "")
        history.look(after=1.0, restart=False)
    assert len(history.records) <= MOST_RECORDS + len(NAMES) + 1
    assert first in {r.metadata.name for r in history.records}


LABELS = st.dictionaries(st.sampled_from(["app", "revision", "tier", "track"]), st.sampled_from(["x", "y"]), max_size=4)


@given(LABELS, st.lists(LABELS.filter(bool), max_size=5))
def test_the_pods_of_a_copy_belong_to_no_other_workload(
    labels: dict[str, str], selectors: list[dict[str, str]]
) -> None:
    kept = copy_labels(labels, apart_from=selectors)
    assert not any(selector.items() <= kept.items() for selector in selectors)
    assert kept.items() <= labels.items()
    assert LABEL_COPY not in kept
