"""Looks at every protected model before anything happens: could an incident be answered now?

Has the revisions that run recorded (`engine/revisions.py`), and says on the `ProtectedModel` what
is missing: a workload or route that does not exist, a policy, a right. Off the fast path; it reads,
and writes only what has changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from lazaretto.api import ProtectedModel, ResponsePolicy, reasons
from lazaretto.api.containment import MOST_WORKLOADS
from lazaretto.api.modelrevision import DigestConfidence
from lazaretto.api.protectedmodel import ObservedRecord, ObservedWorkload, ProtectedModelStatus
from lazaretto.api.responsepolicy import KnownGoodRule, ResponsePolicyStatus
from lazaretto.domain.conditions import set_condition
from lazaretto.domain.copy_of_record import records_out_of_service
from lazaretto.domain.demands import pauses_gitops
from lazaretto.domain.known_good import Candidate, criteria_of, judge, rank
from lazaretto.domain.limits import newest_reset, unreset
from lazaretto.domain.policy import leading_policy, review
from lazaretto.domain.rollback import rolls_back
from lazaretto.domain.scene import Workload
from lazaretto.engine.clock import Clock
from lazaretto.engine.gather import Live, gather, scene_of
from lazaretto.engine.revisions import Revisions, Steady
from lazaretto.engine.rights import Rights
from lazaretto.engine.status_writer import StatusWriter
from lazaretto.engine.store import Store
from lazaretto.engine.surroundings import Surroundings
from lazaretto.engine.traffic_lookup import Ask, TrafficLookup
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.surface import name_of
from lazaretto.traffic.registry import ROUTES

ROLLBACK = "rollback"
"""A verb of ours, which admission asks for as well: with the right to patch alone, no template is rolled back."""


@dataclass(frozen=True, slots=True)
class _Obstacle:
    reason: str
    message: str
    disarms: bool


@dataclass(frozen=True, slots=True)
class _Candidates:
    judged: Sequence[Candidate]
    records: Sequence[Candidate]
    """What copies could be made of, those first that may take over."""
    ranked: Sequence[Candidate]
    """Those that may take over, best first."""
    roll_back: bool
    """Whether the compromised workload itself would be rolled back to a record."""


class Survey:
    """See the module's text."""

    def __init__(
        self,
        api: Api,
        store: Store,
        statuses: StatusWriter,
        *,
        clock: Clock,
        surroundings: Surroundings | None = None,
        traffic: Ask | None = None,
        steady: Steady = time.monotonic,
    ) -> None:
        self._api = api
        self._store = store
        self._statuses = statuses
        self._clock = clock
        self._surroundings = surroundings or Surroundings()
        lookup = TrafficLookup(traffic, steady=steady)
        self._rights = Rights(api, clock=clock)
        self._revisions = Revisions(
            api, store, statuses, clock=clock, traffic=lookup, rights=self._rights, steady=steady
        )

    def review_policies(self, namespace: str) -> None:
        """Say on each ResponsePolicy of a namespace whether what it names exists."""
        for policy in self._store.policies_in(namespace):
            models = {model.metadata.name for model in self._store.all(ProtectedModel, namespace)}
            build = partial(self._reviewed, models=models)
            self._statuses.submit(ResponsePolicy, namespace, policy.metadata.name, build)

    def _reviewed(self, policy: ResponsePolicy, *, models: Collection[str]) -> ResponsePolicyStatus:
        namespace = policy.metadata.namespace
        reset = newest_reset(self._store.decisions_in(namespace))
        told = [*policy.status.tripped, *self._store.ledger.tripped(namespace)]
        return review(policy, models=models, tripped=unreset(told, reset=reset), now=self._clock.now())

    async def survey(self, namespace: str, name: str) -> bool:
        """Look at one model; whether nothing is missing. Raises `ApiError` when it could not be read."""
        model = self._store.model(namespace, name)
        if model is None:
            self._surroundings.forget((namespace, name))
            self._revisions.forget((namespace, name))
            return True
        containment = self._store.containment(namespace, name)
        gitops = pauses_gitops(self._store.policies_in(namespace), containment)
        live = await gather(self._api, namespace=namespace, model=model, containment=containment, gitops=gitops)
        scene = scene_of(live, namespace=namespace, model=name, containment=containment)
        self._surroundings.remember((namespace, name), live, scene=scene)
        confidences = await self._revisions.look(model, live.workloads, templates=live.templates)
        denied = await self._rights.lacking(namespace)
        obstacles = self._obstacles(model, live, denied)
        rights = await self._rights_to_bring_back(model, live.workloads)

        def status(newest: ProtectedModel) -> ProtectedModelStatus:
            knowing = newest.model_copy(update={"status": newest.status.model_copy(update=rights)})
            return self._status(knowing, live.workloads, obstacles, confidences)

        self._statuses.submit(ProtectedModel, namespace, name, status)
        if live.all_workloads_seen and not live.denied:
            keep = [each.revision for each in model.status.records if each.takes_over.startswith("yes")]
            await self._revisions.clear(model, live.workloads, keep=keep[:1])
        return not obstacles and all(w.available for w in live.workloads)

    async def _rights_to_bring_back(self, model: ProtectedModel, workloads: Sequence[Workload]) -> dict[str, bool]:
        """Whether copies may be made, and templates rolled back; not asked while nothing is out of service."""
        namespace, name = model.metadata.namespace, model.metadata.name
        verbs = {"may_copy": "create", "may_roll_back": ROLLBACK}
        if not records_out_of_service(self._store.revisions_of(namespace, name), workloads):
            return dict.fromkeys(verbs, False)
        answers = await asyncio.gather(*(self._rights.may_not(verb, namespace, DEPLOYMENTS) for verb in verbs.values()))
        return dict(zip(verbs, (not text for text in answers), strict=True))

    def _obstacles(self, model: ProtectedModel, live: Live, denied: Sequence[str]) -> list[_Obstacle]:
        found = [_Obstacle(reasons.FORBIDDEN, text, True) for text in (*live.denied, *denied)]
        if protected := self._store.protected.get(model.metadata.namespace):
            found.insert(0, _Obstacle(reasons.NAMESPACE_PROTECTED, protected, True))
        found += [_Obstacle(reasons.FORBIDDEN, text, False) for text in live.unread]
        found += [_Obstacle(reasons.WORKLOAD_NOT_FOUND, f"{ref} does not exist", False) for ref in live.missing]
        if not live.workloads:
            found.append(_Obstacle(reasons.WORKLOAD_NOT_FOUND, "no workload of the model exists", True))
        if (many := len(live.workloads)) > MOST_WORKLOADS:
            text = f"{many} workloads; an incident can hold {MOST_WORKLOADS} of them"
            found.append(_Obstacle(reasons.MODEL_TOO_LARGE, text, False))
        existing = {
            (surface.resource.kind, name_of(obj)) for surface, _ in ROUTES for obj in live.objects.get(surface, ())
        }
        found += [
            _Obstacle(reasons.ROUTE_NOT_FOUND, f"{r.kind}/{r.name} does not exist", False)
            for r in model.spec.routes
            if (r.kind, r.name) not in existing
        ]
        if leading_policy(self._store.policies_in(model.metadata.namespace), model=model) is None:
            found.append(_Obstacle(reasons.NO_POLICY, "no ResponsePolicy of this namespace concerns the model", True))
        return found

    def _status(
        self,
        model: ProtectedModel,
        workloads: Sequence[Workload],
        obstacles: Sequence[_Obstacle],
        confidences: Mapping[str, DigestConfidence],
    ) -> ProtectedModelStatus:
        namespace, name, now = model.metadata.namespace, model.metadata.name, self._clock.now()
        policy = leading_policy(self._store.policies_in(namespace), model=model)
        candidates = self._candidates(model, workloads)
        good, why_not = _best(candidates)
        obstacles = [*obstacles, *([_Obstacle(reasons.NO_KNOWN_GOOD, why_not, False)] if not good else [])]
        armed = not any(o.disarms for o in obstacles)
        contained = self._store.containment(namespace, name) is not None
        message = "; ".join(o.message for o in obstacles) or "an incident can be answered"
        reason = obstacles[0].reason if obstacles else reasons.READY
        status = ProtectedModelStatus(
            observed_generation=model.metadata.generation,
            state="Contained" if contained else "Disarmed" if not armed else "Degraded" if obstacles else "Armed",
            conditions=set_condition(
                model.status.conditions,
                reasons.ARMED,
                "True" if armed else "False",
                reason,
                message,
                generation=model.metadata.generation,
                now=now,
            ),
            workloads=[_observed(c, confidences) for c in candidates.judged][:64],
            records=[_recorded(c, rolls_back=candidates.roll_back) for c in candidates.records][:16],
            may_copy=model.status.may_copy,
            may_roll_back=model.status.may_roll_back,
            known_good=good,
            policy=policy.metadata.name if policy else "",
            open_incidents=sum(i.status.times.closed_at is None for i in self._store.incidents_of(namespace, name)),
            checked_at=model.status.checked_at,
        )
        return status if status == model.status else status.model_copy(update={"checked_at": now})

    def _candidates(self, model: ProtectedModel, workloads: Sequence[Workload]) -> _Candidates:
        """Each workload's candidacy under the leading policy, if nothing but it were compromised."""
        namespace, name = model.metadata.namespace, model.metadata.name
        policy = leading_policy(self._store.policies_in(namespace), model=model)
        rule = policy.spec.known_good if policy else None
        reach = policy.spec.reach if policy else None
        back = policy is not None and rolls_back(policy, model=model)
        rule = rule or KnownGoodRule(require_attested=True)
        criteria = criteria_of(rule, model=model, reach=reach, rolls_back=back)
        revisions = self._store.revisions_of(namespace, name)
        candidacy = partial(judge, revisions=revisions, revoked=(), criteria=criteria)
        judged = [candidacy(w) for w in workloads]
        records = [candidacy(w) for w in records_out_of_service(revisions, workloads)]
        ranked, copied = rank(judged, criteria=criteria), rank(records, criteria=criteria)
        unfit = [c for c in records if c.refused]
        return _Candidates(judged, [*copied, *unfit], [*ranked, *copied], back)


def _best(candidates: _Candidates) -> tuple[str, str]:
    """(revision, "") or ("", why there is none)."""
    if candidates.ranked and candidates.ranked[0].revision is not None:
        return candidates.ranked[0].revision.metadata.name, ""
    told = "; ".join(f"{c.workload.ref}: {c.refused}" for c in (*candidates.judged, *candidates.records))
    return "", f"no revision is known to be good ({told})"[:1024]


def _observed(candidate: Candidate, confidences: Mapping[str, DigestConfidence]) -> ObservedWorkload:
    workload = candidate.workload
    return ObservedWorkload(
        **workload.identified.model_dump(),
        revision=candidate.revision.metadata.name if candidate.revision else "",
        replicas=workload.replicas,
        ready=workload.ready,
        digest_confidence=confidences.get(workload.identity, ""),
        takes_over=_takes_over(candidate)[:1024],
    )


def _recorded(candidate: Candidate, *, rolls_back: bool) -> ObservedRecord:
    revision = candidate.revision
    assert revision is not None  # noqa: S101  # it was made of one
    how = "yes: by a rollback in place to the record" if rolls_back else "yes: by a copy from the record"
    reason = f"no: {candidate.refused}" if candidate.refused else f"{how}, {candidate.reason}"
    return ObservedRecord(
        revision=revision.metadata.name,
        copy_name=candidate.workload.name,
        digest_confidence=revision.status.digest_confidence,
        takes_over=reason[:1024],
    )


def _takes_over(candidate: Candidate) -> str:
    if candidate.refused:
        return f"no: {candidate.refused}"
    return f"yes: {candidate.reason}" if candidate.workload.serves else f"yes, once scaled up: {candidate.reason}"
