"""Keeps the `Containment` ahead of everything that is touched.

Nothing is written to a foreign object before the journal that knows its base was stored. The
journal is guarded by its generation, which counts the changes of its spec: of two writers one is
refused, reads, and finds the base already there; a status that was written meanwhile is no reason
to begin anew.
"""

from __future__ import annotations

from typing import Any

from lazaretto.api.containment import Containment, ContainmentSpec
from lazaretto.api.meta import API_VERSION, LABEL_MODEL
from lazaretto.engine.release import pruned
from lazaretto.engine.store import Store
from lazaretto.errors import AlreadyExists, Conflict, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.request import json_patch
from lazaretto.kube.resource import CONTAINMENTS

MANAGER = "lazaretto-journal"


class Journal:
    """Reads and writes Containments; what it returns is stored."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store

    async def write(self, spec: ContainmentSpec, *, namespace: str, current: Containment | None) -> Containment:
        """Store `spec` in the place of `current`. Raises `Conflict` if the journal has changed: decide again."""
        if current is not None and current.spec == spec:
            return current
        model = spec.model
        try:
            body = await (self._create(namespace, spec) if current is None else self._update(current, spec))
        except (AlreadyExists, NotFound, Conflict) as error:
            await self.refresh(namespace=namespace, model=model)
            raise Conflict(409, "the journal changed since it was read", request=str(error)) from error
        stored = self._store.put(Containment, body)
        assert stored is not None  # noqa: S101  # the API server returned what we sent
        return stored

    async def prune(self, current: Containment) -> Containment:
        """Remove entries whose restore was verified: an object that is held again gets a fresh base."""
        return await self.write(pruned(current.spec), namespace=current.metadata.namespace, current=current)

    async def refresh(self, *, namespace: str, model: str) -> Containment | None:
        """Read the journal from the API server, which decides whether it exists."""
        try:
            body = await self._api.get(CONTAINMENTS, namespace=namespace, name=model)
        except NotFound:
            self._store.drop(Containment, namespace, model)
            return None
        return self._store.put(Containment, body)

    async def remove(self, current: Containment) -> None:
        """Delete a journal whose every entry was restored."""
        meta = current.metadata
        await self._api.delete(CONTAINMENTS, namespace=meta.namespace, name=meta.name, uid=meta.uid)
        self._store.drop(Containment, meta.namespace, meta.name, uid=meta.uid)

    async def _create(self, namespace: str, spec: ContainmentSpec) -> dict[str, Any]:
        body = {
            "apiVersion": API_VERSION,
            "kind": "Containment",
            "metadata": {"name": spec.model, "namespace": namespace, "labels": {LABEL_MODEL: spec.model}},
            "spec": spec.dump(),
        }
        return await self._api.create(CONTAINMENTS, body, namespace=namespace, manager=MANAGER)

    async def _update(self, current: Containment, spec: ContainmentSpec) -> dict[str, Any]:
        meta = current.metadata
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": meta.uid},
            {"op": "test", "path": "/metadata/generation", "value": meta.generation},
            {"op": "replace", "path": "/spec", "value": spec.dump()},
        ]
        request = json_patch(CONTAINMENTS, patch, namespace=meta.namespace, name=meta.name, manager=MANAGER)
        return await self._api.patch(request)
