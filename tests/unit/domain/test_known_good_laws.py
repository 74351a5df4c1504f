"""Whatever happens in whatever order: what is chosen is revoked by nobody, is not what is bad, and has proved itself.

A history is told to the functions that keep the records, look by look; beside them stands a ledger that a person could
keep, of what really ran and since when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lazaretto.api import AIIncident, ModelRevision
from lazaretto.api.modelrevision import Attestation
from lazaretto.domain.compromise import diagnose
from lazaretto.domain.digests import resolve
from lazaretto.domain.known_good import KnownGoodCriteria
from lazaretto.domain.recorded_template import Keeping
from lazaretto.domain.revision_record import Look, revision_status, revocations, unrecorded
from lazaretto.domain.scene import Workload
from lazaretto.domain.soak import LONGEST_GAP, Soak, soaked, stored
from lazaretto.domain.traffic import FLOWS, NO_ANSWER, NONE, Traffic
from tests.unit.domain.objects import MODEL, at, incident, metadata, workload

NAMES, RUNS, LETTERS = ("a", "b", "c"), ("x", "y", "z"), ("1", "2", "3")
SOAK = 120.0


@dataclass
class Proof:
    """What is really true of one identity, as far as somebody looked."""

    first: str = ""
    """What it loaded when it was first seen."""
    loads: str = ""
    """What all of its pods load now; empty if they differ."""
    good: float = 0.0
    """Seconds of service with traffic since the last break, between looks that are close enough."""
    counted: bool = False


@dataclass
class History:
    """A model of three workloads, and its records."""

    runs: dict[str, str] = field(default_factory=lambda: dict(zip(NAMES, RUNS, strict=True)))
    loads: dict[str, str] = field(default_factory=lambda: dict(zip(NAMES, LETTERS, strict=True)))
    down: set[str] = field(default_factory=set)
    risen: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    """When each came up last."""
    traffic: Traffic = FLOWS
    incidents: dict[str, AIIncident] = field(default_factory=dict)
    records: list[ModelRevision] = field(default_factory=list)
    soaks: dict[str, Soak] = field(default_factory=dict)
    proofs: dict[str, Proof] = field(default_factory=dict)
    seconds: float = 0.0
    attested: set[str] = field(default_factory=set)

    def workloads(self) -> list[Workload]:
        """All tags, and of one frame, so that content alone tells them apart where it can."""
        return [
            workload(
                name,
                runs=run,
                ready=0 if name in self.down else 2,
                since=at(0) + timedelta(seconds=self.risen[name]),
                tagged=["server"],
                frame="same",
            )
            for name, run in self.runs.items()
        ]

    def rise(self, name: str) -> None:
        """A workload that was down comes up."""
        if name in self.down:
            self.down.discard(name)
            self.risen[name] = self.seconds

    def look(self, *, after: float, restart: bool) -> None:
        """One survey."""
        self.seconds += after
        workloads = self.workloads()
        self.soaks = {} if restart else self.soaks
        for body in unrecorded(MODEL, workloads, self.records):
            made = ModelRevision.read(body)
            word = Attestation(by="ci") if self.attested & {made.spec.identity} else None
            spec = made.spec.model_copy(update={"attestation": word})
            self.records.append(made.model_copy(update={"metadata": metadata(made.metadata.name), "spec": spec}))
        self.records = [self._looked(record, workloads) for record in self.records]
        for identity in {w.identity for w in workloads} | set(self.proofs):
            self._prove(identity, workloads, after=after, restart=restart)

    def _looked(self, record: ModelRevision, workloads: list[Workload]) -> ModelRevision:
        running = [w for w in workloads if w.identity == record.spec.identity]
        revoked = revocations(record, incidents=self.incidents.values(), containment=None, workloads=workloads)
        look = Look(workloads, revoked, resolve(running, pods={w.uid: self._pods(w) for w in running}), self.traffic)
        moment = at(0) + timedelta(seconds=self.seconds)
        uid = record.metadata.uid
        self.soaks[uid] = soaked(
            stored(record.status),
            remembered=self.soaks.get(uid),
            sight=look.sight(record, now=moment),
            now=moment,
            steady=self.seconds,
        )
        status = revision_status(record, look=look, soak=self.soaks[uid], served=None, kept=Keeping(None), now=moment)
        return record.model_copy(update={"status": status})

    def _pods(self, of: Workload) -> list[dict[str, object]]:
        digest = f"sha256:{self.loads[of.name] * 64}"
        statuses = [{"name": "server", "imageID": f"registry.example/chat@{digest}"}]
        return [{"metadata": {"name": of.name}, "status": {"phase": "Running", "containerStatuses": statuses}}]

    def _prove(self, identity: str, workloads: list[Workload], *, after: float, restart: bool) -> None:
        proof = self.proofs.setdefault(identity, Proof())
        running = [w for w in workloads if w.identity == identity]
        loads = {self.loads[w.name] for w in running}
        named = any(
            i.spec.target and i.spec.target.revision in {w.name for w in running} for i in self.incidents.values()
        )
        serves = any(w.ready for w in running) and len(loads) == 1 and not named
        moved = bool(loads) and loads != {proof.loads}
        counts = serves and self.traffic is FLOWS
        if not serves or moved:
            proof.good = 0.0
        elif counts and proof.counted and after <= LONGEST_GAP and not restart:
            proof.good += after
        proof.counted = counts
        if len(loads) == 1:
            (proof.loads,) = loads
        elif loads:
            proof.loads = ""
        proof.first = proof.first or min(loads, default="")

    def check(self, *, named: str | None) -> None:
        """An incident comes now: what is chosen must be beyond doubt."""
        workloads = self.workloads()
        criteria = KnownGoodCriteria(require_attested=False, soak=timedelta(seconds=SOAK))
        revoked = {i.spec.target.revision for i in self.incidents.values() if i.spec.target and i.spec.target.revision}
        found = diagnose(
            workloads, named=named, held=(), revisions=self.records, revoked=revoked, criteria=criteria
        ).known_good
        event(f"{found.reason[:8]}" if found else "nobody may serve")
        if found is None:
            return
        chosen, bad = found.workload, [w for w in workloads if w.name in {named, *revoked}]
        proof = self.proofs[chosen.identity]
        assert chosen.ready > 0
        assert chosen.identity not in {w.identity for w in bad}
        records = [r for r in self.records if r.spec.identity == chosen.identity]
        assert not any(r.status.revoked_by or r.metadata.name in revoked for r in records)
        seen = {w.identity: self.proofs[w.identity].loads for w in bad if w.identity in self.proofs}
        assert proof.loads not in {loads for loads in seen.values() if loads}
        assert (chosen.identity in self.attested and proof.loads == proof.first) or proof.good >= SOAK


LOOK = st.tuples(
    st.just("look"), st.sampled_from([1.0, 60.0, 60.0, 90.0, 90.0, 200.0]), st.sampled_from([False] * 7 + [True])
)
EVENTS = st.lists(
    st.one_of(
        LOOK,
        LOOK,
        LOOK,
        st.tuples(st.just("pull"), st.sampled_from(NAMES), st.sampled_from(LETTERS)),
        st.tuples(st.just("deploy"), st.sampled_from(NAMES), st.sampled_from(RUNS)),
        st.tuples(
            st.sampled_from(["fall", "rise", "rise", "open", "close", "close"]), st.sampled_from(NAMES), st.none()
        ),
        st.tuples(st.just("traffic"), st.sampled_from([FLOWS, FLOWS, FLOWS, NONE, NO_ANSWER]), st.none()),
    ),
    max_size=25,
)


def happen(history: History, what: str, one: Any, two: Any) -> None:
    """One event. What happens between two looks is seen by the next one."""
    changes: Mapping[str, Callable[[], object]] = {
        "pull": lambda: history.loads.update({one: two}),
        "deploy": lambda: history.runs.update({one: two}),
        "fall": lambda: history.down.add(one),
        "rise": lambda: history.rise(one),
        "open": lambda: history.incidents.update({one: incident(f"chat-{one}", revision=one)}),
        "close": lambda: history.incidents.pop(one, None),
        "traffic": lambda: setattr(history, "traffic", one),
    }
    if what in changes:
        changes[what]()
        history.look(after=1.0, restart=False)
    else:
        history.look(after=one, restart=two)


@given(EVENTS, st.sets(st.sampled_from(RUNS), max_size=2), st.none() | st.sampled_from(NAMES))
@settings(max_examples=400)
def test_what_is_chosen_is_beyond_doubt_whatever_happened_in_whatever_order(
    events: list[tuple[str, Any, Any]], attested: set[str], named: str | None
) -> None:
    history = History(attested={workload(run).identity for run in attested})
    for after in (0.0, 60.0, 60.0):
        history.look(after=after, restart=False)
    for each in events:
        happen(history, *each)
        history.check(named=named)
