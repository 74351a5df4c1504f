"""The one Protocol behind which every kind of foreign object is held and released.

A surface is a module that knows one kind: which of its fields matter, what a demand makes of
them, and how they are written. It decides nothing else and does no I/O; journalling, retry,
undo and release are the same for all kinds. A new serving stack is one such module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lazaretto.domain.evidence import Level
from lazaretto.domain.fields import Change, Fields
from lazaretto.domain.scene import Demand, Scene
from lazaretto.kube.request import Request
from lazaretto.kube.resource import ResourceType

Object = Mapping[str, Any]

WORKLOADS_FIRST = 0
THEN_TRAFFIC = 1
THEN_STAND_INS = 2
"""What was scaled up to serve instead: it is needed until traffic has gone back."""
AUTOSCALERS_LAST = 3
GITOPS_LAST = 4


@dataclass(frozen=True, slots=True)
class Proof:
    """How far one object was seen to be as demanded: L0 stored, L1 observed by its controller, L2 in effect."""

    level: Level
    message: str


class Surface(Protocol):
    """One kind of object that a containment touches."""

    resource: ResourceType
    manager: str
    """Field manager of its writes: one per concern."""
    owned: tuple[str, ...]
    """Where `managedFields` lists the owners of what this surface holds."""
    release_stage: int
    """Release restores lower stages first and goes on when they are verified."""
    fence: str
    """Name of the admission policy that refuses to undo a hold; empty if none does."""

    def read(self, obj: Object, *, base: Fields | None = None) -> Fields:
        """Every field that this surface could ever hold, with its present value.

        Values are plain JSON or `ABSENT`, and are compared as such with those of the journal. `base` is what
        the journal knows of the object: of what is held away, and where it belongs, the object shows nothing.
        """

    def hold(self, obj: Object, base: Fields, *, scene: Scene, demand: Demand) -> Fields:
        """What the demand makes of the object's fields; empty if it is not concerned.

        `base` overlays the live values of fields that are already held.
        """

    def write(self, obj: Object, changes: Sequence[Change]) -> Request:
        """The request that makes the changes, guarded on the object's uid."""

    def prove(self, obj: Object) -> Proof:
        """What the object itself shows: stored, or observed by its controller."""

    def settled(self, obj: Object) -> str:
        """Empty if a restored object is in service again; else what release still waits for."""


def metadata(obj: Object) -> Mapping[str, Any]:
    """The object's metadata."""
    found: Mapping[str, Any] = obj.get("metadata") or {}
    return found


def name_of(obj: Object) -> str:
    """The object's name."""
    return str(metadata(obj).get("name", ""))


def uid_of(obj: Object) -> str:
    """The object's uid."""
    return str(metadata(obj).get("uid", ""))


def namespace_of(obj: Object) -> str:
    """The object's namespace."""
    return str(metadata(obj).get("namespace", ""))


def version_of(obj: Object) -> int:
    """The object's resource version as a number, which Kubernetes lets compare within one kind; 0 if it has none."""
    return number_of(str(metadata(obj).get("resourceVersion") or ""))


def number_of(version: str) -> int:
    """A resource version as a number; 0 if it is none."""
    return int(version) if version.isascii() and version.isdigit() else 0


def template_in(obj: Object) -> Mapping[str, Any]:
    """The pod template of a workload; empty if it has none."""
    found: Mapping[str, Any] = (obj.get("spec") or {}).get("template") or {}
    return found


def observed(obj: Object) -> bool:
    """Whether the owning controller has seen the newest spec."""
    status = obj.get("status") or {}
    return int(status.get("observedGeneration") or 0) >= int(metadata(obj).get("generation") or 0)
