"""The newest known copies of our own kinds, fed by watches and by our own writes.

Copies make decisions fast; they are never the authority. Every write is guarded by the
resource version of the copy it was derived from, so that deciding on an old one costs a
repeat and nothing else. An object that cannot be read is kept apart with its error: one
malformed object must not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from lazaretto.api import (
    KINDS,
    AIIncident,
    Containment,
    IncidentDecision,
    ModelRevision,
    ProtectedModel,
    Resource,
    ResponsePolicy,
)
from lazaretto.api.containment import Hold
from lazaretto.engine.archive import Archive
from lazaretto.engine.ledger import Ledger

REMEMBERED = 10_000
"""How many deleted objects are remembered, so that a late event does not bring one back."""

R = TypeVar("R", bound=Resource)
Key = tuple[str, str]
"""What one pass is about: a namespace and a model, or an incident that has no target (`key_of`)."""
_ALONE = "incident/"
"""Before the name of an incident in a key. No model's name has a slash."""


def key_of(incident: AIIncident) -> Key:
    """The model that an incident concerns; one without a target stands alone, as it shares nothing with others."""
    target = incident.spec.target
    return incident.metadata.namespace, target.model if target else f"{_ALONE}{incident.metadata.name}"


class Store:
    """Objects by kind, namespace and name."""

    def __init__(self) -> None:
        self._objects: dict[type[Resource], dict[str, dict[str, Resource]]] = {kind: {} for kind in KINDS}
        self.unreadable: dict[tuple[str, str, str], str] = {}
        """(kind, namespace, name) of objects that could not be read, with the reason."""
        self.switched_off = ""
        """Why nothing may be done without a person; empty while the policies decide (`engine/switch.py`)."""
        self.beginning: dict[Key, Sequence[Hold]] = {}
        """Holds that a pass is about to place, and may not have journalled yet; it takes them out again itself."""
        self.ledger = Ledger()
        self.incidents_known = True
        """Whether all incidents were read that existed at the start; until then, rates cannot be counted."""
        self.protected: dict[str, str] = {}
        """Namespaces in which nothing may be done, each with the reason."""
        self._incidents: dict[Key, dict[str, AIIncident]] = {}
        """By what they are about, then by name: a namespace may have thousands that a pass does not care for."""
        self._archive = Archive()
        self._deleted: dict[str, None] = {}
        """Uids of objects that are known to be gone, oldest first."""

    def put(self, kind: type[R], body: Mapping[str, Any]) -> R | None:
        """Take in an object unless a newer copy is known or it is gone for good; None if it cannot be read."""
        metadata = body.get("metadata") or {}
        namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        known = self._kept(kind, namespace, name)
        if known is not None and _same(known, metadata):
            return self._whole(known)
        try:
            new = kind.read(body)
        except ValidationError as error:
            self.unreadable[kind.facts.kind, namespace, name] = (
                f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
            )
            self._remove(kind, namespace, name)
            return None
        self.unreadable.pop((kind.facts.kind, namespace, name), None)
        if known is not None and known.metadata.uid == new.metadata.uid and _older(new, known):
            return self._whole(known)
        if new.metadata.uid in self._deleted:
            # A watch that lags behind our own deletion: what it tells must not be acted upon.
            return new
        if isinstance(known, AIIncident):
            self._unfile(known)
        if isinstance(new, AIIncident):
            self._file(new)
        else:
            self._objects[kind].setdefault(namespace, {})[name] = new
        return new

    def drop(self, kind: type[R], namespace: str, name: str, *, uid: str = "") -> None:
        """Forget an object; with a uid, only if it is that one, and for good."""
        if uid:
            self._deleted[uid] = None
            if len(self._deleted) > REMEMBERED:
                del self._deleted[next(iter(self._deleted))]
        known = self._kept(kind, namespace, name)
        if known is not None and (not uid or known.metadata.uid == uid):
            self._remove(kind, namespace, name)
        self.unreadable.pop((kind.facts.kind, namespace, name), None)

    def get(self, kind: type[R], namespace: str, name: str) -> R | None:
        """The copy of one object."""
        known = self._kept(kind, namespace, name)
        return self._whole(known) if known is not None else None

    def _kept(self, kind: type[R], namespace: str, name: str) -> R | None:
        return self._objects[kind].get(namespace, {}).get(name)  # type: ignore[return-value]  # stored under its kind

    def _remove(self, kind: type[Resource], namespace: str, name: str) -> None:
        place = self._objects[kind].get(namespace, {})
        gone = place.pop(name, None)
        if isinstance(gone, AIIncident):
            self._unfile(gone)
            self.ledger.forget(gone)
        if not place:
            self._objects[kind].pop(namespace, None)

    def _whole(self, kept: R) -> R:
        return self._archive.whole(kept) if isinstance(kept, AIIncident) else kept  # type: ignore[return-value]  # an R

    def _file(self, incident: AIIncident) -> None:
        kept = self._archive.laid_away(incident)
        namespace, name = incident.metadata.namespace, incident.metadata.name
        self._objects[AIIncident].setdefault(namespace, {})[name] = kept
        self._incidents.setdefault(key_of(incident), {})[name] = kept
        self.ledger.note(incident)

    def _unfile(self, incident: AIIncident) -> None:
        self._archive.forget(incident)
        filed = self._incidents.get(key_of(incident), {})
        filed.pop(incident.metadata.name, None)
        if not filed:
            self._incidents.pop(key_of(incident), None)

    def all(self, kind: type[R], namespace: str | None = None) -> Iterator[R]:
        """All copies of a kind, or those of one namespace; incidents that have ended without their timelines."""
        places = self._objects[kind]
        found = [*places.values()] if namespace is None else [places.get(namespace, {})]
        yield from [obj for place in found for obj in place.values()]  # type: ignore[misc]  # stored under its kind

    def incidents_of(self, namespace: str, model: str) -> list[AIIncident]:
        """Incidents that target a model, by name; those that have ended without their timelines."""
        found = self._incidents.get((namespace, model), {})
        return [found[name] for name in sorted(found)]

    def revisions_of(self, namespace: str, model: str) -> list[ModelRevision]:
        """ModelRevisions of a model, by name."""
        found = (r for r in self.all(ModelRevision, namespace) if r.spec.model == model)
        return sorted(found, key=lambda r: r.metadata.name)

    def alone(self, key: Key) -> AIIncident | None:
        """The incident without a target that the key speaks of."""
        namespace, name = key
        found = self.get(AIIncident, namespace, name.removeprefix(_ALONE)) if name.startswith(_ALONE) else None
        return found if found is not None and found.spec.target is None else None

    def policies_in(self, namespace: str) -> list[ResponsePolicy]:
        """ResponsePolicies of a namespace."""
        return list(self.all(ResponsePolicy, namespace))

    def decisions_in(self, namespace: str) -> list[IncidentDecision]:
        """IncidentDecisions of a namespace."""
        return list(self.all(IncidentDecision, namespace))

    def model(self, namespace: str, name: str) -> ProtectedModel | None:
        """The ProtectedModel of that name."""
        return self.get(ProtectedModel, namespace, name)

    def held_beside(self, key: Key) -> set[str]:
        """Other models of the namespace that have a Containment, readable or not, or are about to have one."""
        namespace, name = key
        stored = {found.metadata.name for found in self.all(Containment, namespace)}
        unreadable = {n for kind, place, n in self.unreadable if (kind, place) == ("Containment", namespace)}
        beginning = {n for place, n in self.beginning if place == namespace}
        return (stored | unreadable | beginning) - {name}

    def containment(self, namespace: str, model: str) -> Containment | None:
        """The Containment of a model."""
        return self.get(Containment, namespace, model)


def _same(known: Resource, metadata: Mapping[str, Any]) -> bool:
    """Whether these are the metadata of that very state: lists repeat all of them, and reading takes its time."""
    mine = known.metadata
    return bool(mine.resource_version) and (mine.uid, mine.resource_version) == (
        metadata.get("uid"),
        metadata.get("resourceVersion"),
    )


def _older(new: Resource, known: Resource) -> bool:
    """Whether `new` is an earlier state. Resource versions are decimal numbers that grow (KEP-5504)."""
    mine, theirs = new.metadata.resource_version, known.metadata.resource_version
    return mine.isdecimal() and theirs.isdecimal() and int(mine) < int(theirs)
