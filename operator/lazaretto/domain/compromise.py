"""Which workloads an incident compromises, and which one may serve instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lazaretto.api import reasons
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.domain.digests import Content, content_of
from lazaretto.domain.known_good import Candidate, KnownGoodCriteria, judge, rank
from lazaretto.domain.rollback import unfit
from lazaretto.domain.scene import Workload


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Who must not serve, and who may."""

    compromised: tuple[Workload, ...]
    known_good: Candidate | None
    """A workload that runs, or one that does not exist yet: a copy of what is recorded."""
    refused: tuple[Candidate, ...]
    """Candidates that may not serve, each with its reason."""
    reason: str
    """A reason constant: Resolved, RevisionNotFound, WorkloadNotFound or NothingServes."""
    message: str

    @property
    def why_not(self) -> str:
        """Why no candidate may serve, for people."""
        told = "; ".join(f"{c.workload.ref}: {c.refused}" for c in self.refused)
        return told or "the model has no other workload"


def diagnose(
    workloads: Sequence[Workload],
    *,
    named: str | None,
    held: Collection[str],
    revisions: Sequence[ModelRevision],
    revoked: Collection[str],
    criteria: KnownGoodCriteria,
    records: Sequence[Workload] = (),
    condemned: Collection[str] = (),
) -> Diagnosis:
    """Decide which workloads are compromised.

    With a named revision (a ModelRevision, or a workload of the model) it is every workload that
    runs it. Without one it is every workload of the identities that were `condemned` before. And where none were, it is
    everything that serves except the best known-good revision; and if only that one serves, then the alert speaks of
    it, and it is the compromised one.
    `held` are uids that other incidents already hold, `revoked` are revisions or workloads that
    they name: neither is ever a candidate, nor is anything of the same identity, or of the same
    content under other names. `records` are what copies could be made of; they count where nothing that runs may serve.
    """
    if not workloads:
        return Diagnosis((), None, (), reasons.WORKLOAD_NOT_FOUND, "no workload of the model exists")
    tainted = {w.identity for w in workloads if w.uid in held or w.name in revoked}
    jury = _Jury(revisions, {*revoked, *_names(revisions, tainted)}, criteria)
    jury = jury.condemning(w for w in workloads if w.identity in tainted)
    serving = [w for w in workloads if w.replicas > 0 or w.uid in held]
    passed_over: list[Candidate] = []
    if named or condemned:
        bad = _identities(named, workloads=workloads, revisions=revisions) if named else condemned
        compromised = tuple(w for w in workloads if w.identity in bad)
        if not compromised:
            message = f"target.revision {named!r} is neither a ModelRevision in service nor a workload of the model"
            return Diagnosis((), None, (), reasons.REVISION_NOT_FOUND, message)
    elif not serving:
        return Diagnosis((), None, (), reasons.NOTHING_SERVES, "no workload of the model has replicas: nothing serves")
    else:
        good, passed_over = jury.judge(serving)
        # Two workloads may run the good revision: sparing one of them only would condemn what both load.
        spared = jury.alike(good[0].workload, serving) if good else set()
        compromised = tuple(w for w in serving if w.identity not in spared) or tuple(serving)
    found = _settle(workloads, compromised, held=held, jury=jury, records=records)
    # Where nothing is spared, why nothing was is all that there is to tell.
    return found if found.known_good or found.refused else replace(found, refused=tuple(passed_over))


@dataclass(frozen=True, slots=True)
class _Jury:
    """What candidates are judged by."""

    revisions: Sequence[ModelRevision]
    revoked: Collection[str]
    criteria: KnownGoodCriteria
    condemned: Mapping[Content, str] = field(default_factory=dict)
    """What compromised workloads load, each with the workload that does."""

    def condemning(self, workloads: Iterable[Workload]) -> _Jury:
        """The same, with these among the compromised."""
        found = {content: w.ref for w in workloads if (content := content_of(w, revisions=self.revisions)) is not None}
        return replace(self, condemned={**found, **self.condemned})

    def alike(self, workload: Workload, others: Iterable[Workload]) -> set[str]:
        """Its identity, and those of others that load the same under other names."""
        content = content_of(workload, revisions=self.revisions)
        same = (w.identity for w in others if content_of(w, revisions=self.revisions) == content)
        return {workload.identity, *(same if content is not None else ())}

    def judge(self, workloads: Iterable[Workload]) -> tuple[list[Candidate], list[Candidate]]:
        """Those that may serve, best first, and those that may not."""
        judged = [self._judged(w) for w in workloads]
        return rank(judged, criteria=self.criteria), [c for c in judged if c.refused]

    def _judged(self, workload: Workload) -> Candidate:
        found = judge(workload, revisions=self.revisions, revoked=self.revoked, criteria=self.criteria)
        content = content_of(workload, revisions=self.revisions)
        if found.refused or content is None or content not in self.condemned:
            return found
        return replace(found, refused=f"loads the same as {self.condemned[content]}, under another name", reason="")


def _identities(named: str, *, workloads: Sequence[Workload], revisions: Sequence[ModelRevision]) -> set[str]:
    """What a name stands for: the identity of a recorded revision, or of what a workload runs."""
    recorded = {r.spec.identity for r in revisions if r.metadata.name == named}
    return recorded | {w.identity for w in workloads if w.name == named}


def _names(revisions: Sequence[ModelRevision], identities: Collection[str]) -> set[str]:
    return {r.metadata.name for r in revisions if r.spec.identity in identities}


def _settle(
    workloads: Sequence[Workload],
    compromised: tuple[Workload, ...],
    *,
    held: Collection[str],
    jury: _Jury,
    records: Sequence[Workload],
) -> Diagnosis:
    bad = {w.uid for w in compromised} | set(held)
    # A second workload with the same identity loads the same model: it is no way out.
    same = _names(jury.revisions, {w.identity for w in compromised})
    jury = replace(jury, revoked={*jury.revoked, *same}).condemning(w for w in workloads if w.uid in bad)
    good, refused = jury.judge(w for w in workloads if w.uid not in bad)
    if not good:
        good, rejected = jury.judge(records)
        good, misfits = _fitting(good, compromised, may_copy=jury.criteria.may_copy)
        refused += [*rejected, *misfits]
    message = compromised_message(w.ref for w in compromised)
    return Diagnosis(compromised, good[0] if good else None, tuple(refused), reasons.RESOLVED, message)


def _fitting(
    good: Sequence[Candidate], compromised: Sequence[Workload], *, may_copy: bool
) -> tuple[list[Candidate], list[Candidate]]:
    """Those that the compromised workload can be rolled back to, where no copies may be made, and the others."""
    told = [replace(c, refused="" if may_copy else unfit(c.revision, compromised=compromised)) for c in good]
    return [c for c in told if not c.refused], [replace(c, reason="") for c in told if c.refused]


def compromised_message(refs: Iterable[str]) -> str:
    """Who is compromised, for people."""
    return f"compromised: {', '.join(refs)}"
