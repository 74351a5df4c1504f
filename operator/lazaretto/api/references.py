"""References between objects: by name, in the same namespace, always.

A reference that could carry a namespace is the classic way for one tenant to drive an
operator's rights in another's namespace, so no type here has such a field.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lazaretto.api.meta import ApiModel, LabelMap, Name, Uid
from lazaretto.api.schema import Rule

WorkloadKind = Literal["Deployment"]
RouteKind = Literal["HTTPRoute", "GRPCRoute"]


class WorkloadSelector(ApiModel):
    """Workloads that serve the model: one by name, or all that carry these labels."""

    rules = (
        Rule(
            "has(self.name) != has(self.matchLabels)",
            "name the workload or select it by matchLabels, not both",
        ),
        Rule(
            "!has(self.matchLabels) || size(self.matchLabels) > 0",
            "matchLabels must not be empty: it would select every workload of the namespace",
        ),
    )

    kind: WorkloadKind
    """Kind of the workload. Only Deployment in this version."""
    name: Name | None = None
    """Name of one workload in this namespace."""
    match_labels: LabelMap | None = None
    """Labels on the workload's own metadata (not on its pods)."""


class RouteReference(ApiModel):
    """A Gateway API route in this namespace."""

    kind: RouteKind
    """HTTPRoute or GRPCRoute."""
    name: Name
    """Name of the route."""


class ServiceReference(ApiModel):
    """A Service port in this namespace."""

    name: Name
    """Name of the Service."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the Service that receives requests."""


class WorkloadIdentity(ApiModel):
    """One particular workload: the name says which, the uid says that it is still the same one."""

    kind: WorkloadKind
    name: Name
    uid: Uid

    @property
    def ref(self) -> str:
        """Kind/name, for people."""
        return f"{self.kind}/{self.name}"
