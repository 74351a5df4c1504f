"""The kinds of workloads and autoscalers that are known. A new one is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lazaretto.domain.scene import Bounds, Workload
from lazaretto.kube.flux import FluxHeld
from lazaretto.kube.surface import Object, Surface
from lazaretto.workloads import autoscaler, keda
from lazaretto.workloads.autoscaler import AutoscalerSurface
from lazaretto.workloads.deployment import DeploymentSurface, workload_of
from lazaretto.workloads.keda import ScaledObjectSurface

WORKLOADS: tuple[tuple[Surface, Callable[[Object], Workload]], ...] = ((FluxHeld(DeploymentSurface()), workload_of),)
SCALERS: tuple[Surface, ...] = (FluxHeld(AutoscalerSurface()), FluxHeld(ScaledObjectSurface()))

BOUNDS: Mapping[str, Callable[[Object], tuple[tuple[str, str], Bounds]]] = {
    AutoscalerSurface.resource.kind: autoscaler.bounds_of,
    ScaledObjectSurface.resource.kind: keda.bounds_of,
}
"""By kind of autoscaler: what it scales, and what it keeps that within."""
READERS: Mapping[str, Callable[[Object], Workload]] = {s.resource.kind: read for s, read in WORKLOADS}
