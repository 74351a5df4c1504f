"""Writes that are for one state of an object, and for as long as somebody leads."""

from __future__ import annotations

import asyncio

import pytest

from lazaretto.errors import NotLeading
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.request import at_version, json_patch, merge_patch
from lazaretto.kube.resource import AUTOSCALERS, DEPLOYMENTS, HTTP_ROUTES
from tests.engine.memory_api import MemoryApi, failure

ON = {"namespace": "n", "name": "x", "manager": "m"}


def test_a_merge_patch_is_pinned_by_its_metadata_and_keeps_the_rest() -> None:
    request = merge_patch(DEPLOYMENTS, {"metadata": {"uid": "u"}, "spec": {"replicas": 0}}, **ON, subresource="scale")
    pinned = at_version(request, "7")
    assert pinned.body == {"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"replicas": 0}}
    assert (pinned.path, pinned.query, pinned.content_type) == (request.path, request.query, request.content_type)


def test_a_json_patch_is_pinned_by_a_test() -> None:
    operation = {"op": "remove", "path": "/spec/behavior"}
    pinned = at_version(json_patch(AUTOSCALERS, [operation], **ON), "7")
    assert pinned.body == [{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}, operation]


def test_one_that_tests_the_generation_is_left_alone() -> None:
    """A gateway writes the status of its routes all the time."""
    request = json_patch(HTTP_ROUTES, [{"op": "test", "path": "/metadata/generation", "value": 2}], **ON)
    assert at_version(request, "7") is request


async def test_nothing_is_written_by_whoever_does_not_lead_and_all_is_read() -> None:
    memory = MemoryApi()
    memory.add("/apis/apps/v1/namespaces/n/deployments/x", {"kind": "Deployment", "spec": {"replicas": 3}})
    api = ApiServer(memory).writing_while(lambda: False)
    await api.get(DEPLOYMENTS, namespace="n", name="x")
    patch = merge_patch(DEPLOYMENTS, {"spec": {"replicas": 0}}, **ON)
    with pytest.raises(NotLeading):
        await api.patch(patch)
    with pytest.raises(NotLeading):
        await api.create(DEPLOYMENTS, {"metadata": {"name": "y"}}, namespace="n", manager="m")
    with pytest.raises(NotLeading):
        await api.delete(DEPLOYMENTS, namespace="n", name="x", uid="u")
    assert memory.writes == []


async def test_each_try_asks_again() -> None:
    """A write that was not answered is not sent once more when another one may write by then."""
    memory, leads = MemoryApi(), [True, False]
    memory.hook = lambda request: failure(503, "made up")
    api = ApiServer(memory).writing_while(lambda: leads.pop(0))
    async with asyncio.timeout(10):
        with pytest.raises(NotLeading):
            await api.patch(merge_patch(DEPLOYMENTS, {"spec": {"replicas": 0}}, **ON))
    assert len(memory.writes) == 1
