"""What one pass must know about the rest of its namespace: what is used of its limits, and who leans on whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from lazaretto.api import AIIncident, Containment, ProtectedModel
from lazaretto.domain.limits import HOUR, Beginning, Usage, limited, newest_reset, sender_of
from lazaretto.domain.scene import Scene
from lazaretto.engine.gather import Live, scene_of
from lazaretto.engine.store import Key, Store
from lazaretto.engine.triage import Known


def beside(known: Known, live: Live, *, store: Store, now: datetime) -> Known:
    """What is known, and what the rest of the namespace has to do with it.

    Nothing is awaited here, nor may be until `Store.beginning` has what follows: two passes never count the same place.
    """
    key = (known.namespace, known.name)
    leaning: dict[str, str] = {}
    if fallbacks := _fallbacks_of(store, key):
        scene = scene_of(live, namespace=known.namespace, model=known.name, containment=known.containment)
        leaning = _stand_ins(scene, fallbacks)
    protected = store.protected.get(known.namespace, "")
    return replace(known, usage=_usage_of(store, key, now=now), stands_in=leaning, protected=protected)


def uncounted(store: Store, key: Key) -> bool:
    """Whether limits would have to be measured, and cannot be yet."""
    policies = store.policies_in(key[0])
    return not store.incidents_known and any(limited(policy.spec.limits) for policy in policies)


def _usage_of(store: Store, key: Key, *, now: datetime) -> Usage:
    namespace, _ = key
    policies = store.policies_in(namespace)
    held = store.held_beside(key)
    if not any(limited(policy.spec.limits) for policy in policies):
        return Usage(held=held)
    return Usage(
        held=held,
        models=sum(1 for _ in store.all(ProtectedModel, namespace)),
        begun=tuple(_begun(store, namespace, now=now).values()),
        tripped=(*(t for p in policies for t in p.status.tripped), *store.ledger.tripped(namespace)),
        reset=newest_reset(store.decisions_in(namespace)),
    )


def _begun(store: Store, namespace: str, *, now: datetime) -> dict[str, Beginning]:
    """By uid of the incident. Statuses say it late, journals as soon as it is so, and passes before."""
    found = store.ledger.begun(namespace, now=now)
    holds = [hold for c in store.all(Containment, namespace) for hold in c.spec.holds]
    holds += [hold for (place, _), begins in store.beginning.items() if place == namespace for hold in begins]
    for hold in holds:
        incident = store.get(AIIncident, namespace, hold.incident)
        same = incident is not None and incident.metadata.uid == hold.incident_uid
        if now - hold.since < HOUR:
            sender = sender_of(incident) if same and incident is not None else ""
            found.setdefault(hold.incident_uid, Beginning(sender, hold.since))
    return found


def _fallbacks_of(store: Store, key: Key) -> dict[str, str]:
    """Services to which holds of other models of the namespace send traffic, each with the model."""
    namespace, name = key
    return {
        hold.fallback.name: other.spec.model
        for other in store.all(Containment, namespace)
        for hold in other.spec.holds
        if other.spec.model != name and hold.fallback and not hold.releasing
    }


def _stand_ins(scene: Scene, fallbacks: Mapping[str, str]) -> dict[str, str]:
    """Uids of the scene's workloads that answer behind one of `fallbacks`, each with what for."""
    return {
        workload.uid: f"ProtectedModel {fallbacks[service.name]}, which is held"
        for service in scene.services
        if service.name in fallbacks
        for workload in scene.workloads
        if service.selects(workload)
    }
