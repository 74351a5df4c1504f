"""The policies that containment rests on are watched, and what is wrong with them is told at once."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from lazaretto.api import reasons
from lazaretto.domain.evidence import Finding
from lazaretto.engine.admission import Admission
from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.resource import ADMISSION_BINDINGS, ADMISSION_POLICIES, ResourceType
from tests.e2e.shapes import MODEL
from tests.engine.edits import contained
from tests.engine.memory_api import MemoryApi
from tests.engine.test_fence import BOTH, fencing, standing
from tests.engine.travelling_time import travelling
from tests.engine.world import Operator, World
from tests.unit.install.sources import NAMESPACE, base

PODS = "lazaretto-fence-pods"
TYPES = {each.kind: each for each in (ADMISSION_POLICIES, ADMISSION_BINDINGS)}


def path(resource: ResourceType, name: str) -> str:
    return resource.path(name=name)


def installed() -> MemoryApi:
    api = MemoryApi()
    for (kind, _, name), obj in base().items():
        if kind in TYPES:
            api.add(path(TYPES[kind], name), copy.deepcopy(dict(obj)))
    return api


def story(tell: Callable[[MemoryApi, Admission, list[Finding]], Any], api: MemoryApi | None = None) -> None:
    """Tells what happens while the copies are kept; every finding that was announced is in the list."""

    async def scene() -> None:
        made, told = api or installed(), []
        admission = Admission(ApiServer(made), changed=lambda: told.append(admission.finding()))
        working = asyncio.create_task(admission.work(NAMESPACE))
        await asyncio.sleep(1)
        await tell(made, admission, told)
        working.cancel()
        await asyncio.wait([working])

    travelling(scene())


def test_it_is_told_once_that_all_is_as_shipped_and_what_else_is_installed_does_not_matter() -> None:
    async def tell(api: MemoryApi, admission: Admission, told: list[Finding]) -> None:
        assert [each.status for each in told] == ["True"]
        api.add(path(ADMISSION_POLICIES, "other"), {"metadata": {"name": "other"}, "spec": {}})
        await asyncio.sleep(1)
        assert len(told) == 1

    story(tell)


def test_a_policy_that_is_altered_or_deleted_is_told_and_so_is_its_return() -> None:
    async def tell(api: MemoryApi, admission: Admission, told: list[Finding]) -> None:
        where = path(ADMISSION_POLICIES, PODS)
        shipped = copy.deepcopy(api.objects[where])
        api.change(where, lambda body: body["spec"]["validations"][0].update(expression="true"))
        await asyncio.sleep(1)
        assert told[-1] == Finding("False", reasons.NOT_FENCED, f"{PODS} was altered")
        api.delete(where)
        await asyncio.sleep(1)
        assert told[-1] == Finding("False", reasons.NOT_FENCED, f"{PODS} is missing")
        api.add(where, shipped)
        api.delete(path(ADMISSION_BINDINGS, PODS))
        await asyncio.sleep(1)
        assert told[-1] == Finding("False", reasons.NOT_FENCED, f"{PODS} is not bound to deny everywhere")

    story(tell)


def test_what_may_not_be_read_is_not_known() -> None:
    async def tell(api: MemoryApi, admission: Admission, told: list[Finding]) -> None:
        assert admission.finding().status == "Unknown"
        api.forbidden.clear()
        await asyncio.sleep(30)
        assert admission.finding().status == "True"

    api = installed()
    api.forbidden.add("list validatingadmissionpolicies")
    story(tell, api)


async def test_without_the_policies_dry_runs_prove_nothing_beyond_l1(begin: Callable[..., Operator]) -> None:
    operator = begin(fencing(World(), BOTH))
    operator.policies = Finding("False", reasons.NOT_FENCED, f"{PODS} was altered")
    world = await contained(operator)
    assert standing(world) == f"False/NotFenced: {PODS} was altered"
    assert (level(world), world.incident().status.state) == ("L1", "Contained")
    operator.policies = Finding("True", reasons.PROVED, "as shipped")
    await operator.once()
    assert level(world) == "L2"
    assert standing(world).startswith("True/Proved: the API server refuses to undo")
    operator.policies = Finding("False", reasons.NOT_FENCED, f"{PODS} is missing")
    await operator.once()
    assert (level(world), world.incident().status.state) == ("L1", "Degraded")
    assert f"{PODS} is missing" in world.incident().status.reason


def level(world: World) -> str:
    assert world.containment is not None
    reference = world.incident().status.containment
    assert reference is not None
    assert reference.name == MODEL
    assert reference.proof == world.containment.status.proof
    return reference.proof
