"""Which models an alert belongs to.

The enforced namespace label says where to look, and only ProtectedModels of that namespace
are looked at: an alert cannot reach across. A model is matched by its own labels, never by
anything else the alert says. An alert that no model matches is grouped under the receiver's
own namespace without a model; it is recorded there, and nothing acts on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazaretto.domain.alert import MODEL, Alert, category_of
from lazaretto.domain.intake import Group
from lazaretto.kube.mirror import Mirror

_BETWEEN_PAUSES = 500
Grouped = dict[Group, list[Alert]]


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

    async def group(self, alerts: Sequence[Alert]) -> Grouped:
        """The alerts by namespace, model and category. Pauses now and then: others wait for the loop."""
        grouped: Grouped = {}
        for position, alert in enumerate(alerts, start=1):
            for group in self._groups_of(alert):
                grouped.setdefault(group, []).append(alert)
            if position % _BETWEEN_PAUSES == 0:
                await asyncio.sleep(0)
        return grouped

    def _groups_of(self, alert: Alert) -> list[Group]:
        category = category_of(alert)
        namespace = alert.labels.get(self._namespace_label, "")
        models = {
            model.name
            for name, value in alert.labels.items()
            for model in self._models.find((namespace, name, value))
            if all(alert.labels.get(key) == wanted for key, wanted in model.labels)
        }
        if not models:
            return [Group(self._own_namespace, "", category)]
        return [Group(namespace, model, category) for model in sorted(models)]
