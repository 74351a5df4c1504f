"""All kinds of objects that can be held, from the registries of each concern."""

from __future__ import annotations

from lazaretto.gitops.registry import OWNERS
from lazaretto.kube.surface import Surface
from lazaretto.traffic.registry import ROUTES, SERVICE
from lazaretto.workloads.registry import SCALERS, WORKLOADS

HELD: tuple[Surface, ...] = (*(s for s, _ in WORKLOADS), *SCALERS, SERVICE, *(s for s, _ in ROUTES))
"""What the containment of a model rests on."""
ALL: tuple[Surface, ...] = (*HELD, *OWNERS)
"""And what syncs those."""
