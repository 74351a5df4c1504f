"""Resource types by the names the API server uses in its paths."""

from __future__ import annotations

from dataclasses import dataclass

from lazaretto.api import (
    KINDS,
    AIIncident,
    Containment,
    IncidentDecision,
    ModelRevision,
    ProtectedModel,
    ResponsePolicy,
)
from lazaretto.api import Resource as OwnResource
from lazaretto.api.meta import GROUP, VERSION
from lazaretto.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind as it appears in URLs (`group`, `version`, `plural`) and in objects (`kind`)."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """What objects carry as `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection or, with a name, of the object. Raises `InvalidInput` for what is no name."""
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [prefix]
        if namespace:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        parts += [_segment(part) for part in (name, subresource) if part]
        return "/".join(parts)


def _segment(text: str) -> str:
    """The text if it stays one segment of a path: Kubernetes names may hold neither of these anyway."""
    if text in (".", "..") or "/" in text or "%" in text:
        raise InvalidInput("name", text, "name an object; a path is not a name")
    return text


DEPLOYMENTS = ResourceType("apps", "v1", "deployments", "Deployment")
AUTOSCALERS = ResourceType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECTS = ResourceType("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
APPLICATIONS = ResourceType("argoproj.io", "v1alpha1", "applications", "Application")
SERVICES = ResourceType("", "v1", "services", "Service")
PODS = ResourceType("", "v1", "pods", "Pod")
EVENTS = ResourceType("", "v1", "events", "Event")
SECRETS = ResourceType("", "v1", "secrets", "Secret")
CONFIG_MAPS = ResourceType("", "v1", "configmaps", "ConfigMap")
ENDPOINT_SLICES = ResourceType("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
NETWORK_POLICIES = ResourceType("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GRPC_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
ADMISSION_POLICIES = ResourceType(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy"
)
ADMISSION_BINDINGS = ResourceType(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"
)
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease")
SELF_REVIEWS = ResourceType("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview")
ACCESS_REVIEWS = ResourceType("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")


def of(kind: type[OwnResource]) -> ResourceType:
    """The resource type of one of our own kinds."""
    return ResourceType(GROUP, VERSION, kind.facts.plural, kind.facts.kind)


INCIDENTS = of(AIIncident)
CONTAINMENTS = of(Containment)
DECISIONS = of(IncidentDecision)
REVISIONS = of(ModelRevision)
MODELS = of(ProtectedModel)
POLICIES = of(ResponsePolicy)
OWN = tuple(of(kind) for kind in KINDS)
