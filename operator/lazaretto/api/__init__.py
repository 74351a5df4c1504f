"""The kinds of `lazaretto.dev/v1alpha1` as frozen pydantic models; the CRDs are printed from them."""

from lazaretto.api.aiincident import AIIncident
from lazaretto.api.containment import Containment
from lazaretto.api.incidentdecision import IncidentDecision
from lazaretto.api.meta import API_VERSION, GROUP, VERSION, Resource
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.api.protectedmodel import ProtectedModel
from lazaretto.api.responsepolicy import ResponsePolicy

KINDS: tuple[type[Resource], ...] = (
    AIIncident,
    Containment,
    IncidentDecision,
    ModelRevision,
    ProtectedModel,
    ResponsePolicy,
)

__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "VERSION",
    "AIIncident",
    "Containment",
    "IncidentDecision",
    "ModelRevision",
    "ProtectedModel",
    "Resource",
    "ResponsePolicy",
]
