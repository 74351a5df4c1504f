"""The ways to a model that are known. A new one is one line here."""

from __future__ import annotations

from collections.abc import Callable

from lazaretto.kube.surface import Object, Surface
from lazaretto.traffic.gateway import GRPC, HTTP, backend_services
from lazaretto.traffic.service import ServiceSurface

SERVICE: Surface = ServiceSurface()
ROUTES: tuple[tuple[Surface, Callable[[Object], frozenset[str]]], ...] = (
    (HTTP, backend_services),
    (GRPC, backend_services),
)
