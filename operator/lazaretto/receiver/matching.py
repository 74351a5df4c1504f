"""Which models an alert belongs to.

The enforced namespace label says where to look, and only ProtectedModels of that namespace
are looked at: an alert cannot reach across. A model is matched by its own labels, never by
anything else the alert says. An alert that no model matches is grouped under the receiver's
own namespace without a model; it is recorded there, and nothing acts on it. The heartbeat is
the exception: it belongs to nothing, unless a model matches it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazaretto.domain.alert import MODEL, Alert, category_of
from lazaretto.domain.heartbeat import is_heartbeat
from lazaretto.domain.intake import Group
from lazaretto.kube.mirror import Mirror

_BETWEEN_PAUSES = 500
Grouped = dict[Group, list[Alert]]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Alerts by what they belong to, and whether the heartbeat fires among them."""

    groups: Grouped
    heartbeat: bool


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A ProtectedModel, as far as matching cares: all of `labels` must be on the alert."""

    namespace: str
    name: str
    labels: tuple[tuple[str, str], ...]


def read_model(body: Mapping[str, Any]) -> KnownModel:
    """What matching needs of a stored ProtectedModel."""
    metadata = body["metadata"]
    wanted = ((body.get("spec") or {}).get("alerts") or {}).get("matchLabels") or {MODEL: metadata["name"]}
    labels = tuple(sorted((str(key), str(value)) for key, value in wanted.items()))
    return KnownModel(str(metadata["namespace"]), str(metadata["name"]), labels)


def model_keys(model: KnownModel) -> Iterable[Hashable]:
    """One of its labels is enough to find the few models that an alert may belong to."""
    return ((model.namespace, *model.labels[0]),)


class Matcher:
    """Sorts alerts by what they belong to."""

    def __init__(self, models: Mirror[KnownModel], *, namespace_label: str, own_namespace: str) -> None:
        self._models = models
        self._namespace_label = namespace_label
        self._own_namespace = own_namespace

    async def sort(self, alerts: Sequence[Alert]) -> Sorted:
        """The alerts by namespace, model and category. Pauses now and then: others wait for the loop."""
        grouped: Grouped = {}
        heartbeat = False
        for position, alert in enumerate(alerts, start=1):
            groups = self._groups_of(alert)
            heartbeat = heartbeat or (not groups and alert.firing)
            for group in groups:
                grouped.setdefault(group, []).append(alert)
            if position % _BETWEEN_PAUSES == 0:
                await asyncio.sleep(0)
        return Sorted(grouped, heartbeat)

    def _groups_of(self, alert: Alert) -> list[Group]:
        """None for the heartbeat alone."""
        category = category_of(alert)
        namespace = alert.labels.get(self._namespace_label, "")
        models = {
            model.name
            for name, value in alert.labels.items()
            for model in self._models.find((namespace, name, value))
            if all(alert.labels.get(key) == wanted for key, wanted in model.labels)
        }
        if not models:
            label, own = self._namespace_label, self._own_namespace
            heartbeat = is_heartbeat(alert, namespace_label=label, own_namespace=own)
            return [] if heartbeat else [Group(own, "", category)]
        return [Group(namespace, model, category) for model in sorted(models)]
