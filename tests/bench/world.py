"""The world of a run: many models, each in a namespace of its own, with route and autoscaler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from lazaretto.domain.identity import identity_of
from tests.bench.client import BareClient

MODEL = "support-llm"
_MANIFESTS = Path(__file__).parents[2] / "manifests" / "demo"
_PATHS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Service": "/api/v1/namespaces/{}/services",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "ProtectedModel": "/apis/lazaretto.dev/v1alpha1/namespaces/{}/protectedmodels",
    "ResponsePolicy": "/apis/lazaretto.dev/v1alpha1/namespaces/{}/responsepolicies",
    "ModelRevision": "/apis/lazaretto.dev/v1alpha1/namespaces/{}/modelrevisions",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


async def furnish(client: BareClient, namespaces: Iterable[str]) -> None:
    """Create the models of the demo, one set per namespace, with a single replica each."""
    documents = [
        document
        for name in ("models.yaml", "protection.yaml")
        for document in yaml.safe_load_all((_MANIFESTS / name).read_text())
    ]
    await _at_once(8, [_namespace(client, name, documents) for name in namespaces])


def _namespace(client: BareClient, namespace: str, documents: list[dict[str, Any]]) -> Callable[[], Awaitable[None]]:
    async def create() -> None:
        labels = {"lazaretto.dev/protected": "true"}
        await client.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        for body in [_binding(), _attested(documents), *documents]:
            if body["kind"] == "Deployment":
                body = {**body, "spec": {**body["spec"], "replicas": 1}}
            if body["kind"] == "HorizontalPodAutoscaler":
                body = {**body, "spec": {**body["spec"], "minReplicas": 1}}
            await client.call("POST", _PATHS[body["kind"]].format(namespace), body)

    return create


def _binding() -> dict[str, Any]:
    return {
        "kind": "RoleBinding",
        "metadata": {"name": "lazaretto-actor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "lazaretto-actor"},
        "subjects": [{"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": "lazaretto-system"}],
    }


def _attested(documents: list[dict[str, Any]]) -> dict[str, Any]:
    good = next(d for d in documents if d["metadata"]["name"] == f"{MODEL}-v1" and d["kind"] == "Deployment")
    # The API server completes a template with defaults; none of them is part of an identity
    # but the empty `volumes`, which is the same either way.
    spec = {"model": MODEL, "identity": identity_of(good["spec"]["template"]), "attestation": {"by": "bench"}}
    return {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "ModelRevision",
        "metadata": {"name": f"{MODEL}-v1"},
        "spec": spec,
    }


async def _at_once(limit: int, jobs: list[Callable[[], Awaitable[None]]]) -> None:
    gate = asyncio.Semaphore(limit)

    async def bounded(job: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await job()

    await asyncio.gather(*(bounded(job) for job in jobs))
