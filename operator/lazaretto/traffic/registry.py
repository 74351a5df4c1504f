"""The ways to a model that are known. A new one is one line here."""

from __future__ import annotations

from collections.abc import Callable

from lazaretto.kube.flux import FluxHeld
from lazaretto.kube.surface import Object, Surface
from lazaretto.traffic.gateway import GRPC, HTTP, backend_services
from lazaretto.traffic.service import ServiceSurface

SERVICE: Surface = FluxHeld(ServiceSurface())
ROUTES: tuple[tuple[Surface, Callable[[Object], frozenset[str]]], ...] = (
    (FluxHeld(HTTP), backend_services),
    (FluxHeld(GRPC), backend_services),
)
