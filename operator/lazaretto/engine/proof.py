"""Reads back whether a containment is in effect, and says only what was seen.

L0: the API server stored it. L1: the owning controller has seen it. L2: no pod of a
compromised workload is left, and no endpoint leads to one. A pod that is terminating may
still answer, so it counts as there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lazaretto.api import reasons
from lazaretto.api.containment import TargetProof
from lazaretto.domain.evidence import Evidence, Finding, Level
from lazaretto.domain.scene import Demand, Scene, Workload
from lazaretto.engine.plan import ObjectPlan
from lazaretto.engine.pods import unfinished_pods
from lazaretto.errors import Forbidden, NotFound
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.resource import ENDPOINT_SLICES
from lazaretto.kube.surface import THEN_TRAFFIC
from lazaretto.traffic.endpoints import endpoints_of, pod_behind
from lazaretto.traffic.registry import SERVICE


async def prove(
    api: Api,
    *,
    plans: Sequence[ObjectPlan],
    scene: Scene,
    demand: Demand,
    all_workloads_seen: bool = True,
    kept: Collection[str] = (),
) -> Evidence:
    """Read pods and endpoints of the compromised workloads and compare them with what is demanded.

    `kept` are uids of pods that are kept as evidence: they may run, and no endpoint may lead to them.
    """
    pods, denied = await _pods(api, scene.namespace, demand.compromised)
    endpoints, refused = await _endpoints(api, scene.namespace)
    proofs = {p.uid: p.surface.prove(p.obj) for p in plans if p.wanted and not p.unmet}
    objects = [
        TargetProof(object=p.ref, level=_level(p, proofs, pods), message=_message(p, proofs, pods))
        for p in plans
        if p.wanted
    ]
    lost = ", ".join(demand.out_of_sight)
    if lost and not all_workloads_seen:
        denied = denied or f"may not read {lost}"
    contained = _contained(demand, plans, pods, denied)
    # Endpoints say nothing as long as it is unknown which pods are compromised.
    traffic = _traffic(demand, scene, plans, None if denied else endpoints, denied or refused, pods, kept)
    return Evidence(_overall(contained, plans), contained, traffic, tuple(objects))


def _level(plan: ObjectPlan, proofs: Mapping[str, Any], pods: Mapping[str, Sequence[Object]]) -> str:
    if plan.uid not in proofs:
        return ""
    level: str = proofs[plan.uid].level
    return "L2" if level == "L1" and plan.uid in pods and not pods[plan.uid] else level


def _message(plan: ObjectPlan, proofs: Mapping[str, Any], pods: Mapping[str, Sequence[Object]]) -> str:
    if plan.uid not in proofs:
        return "not yet as demanded"
    left = len(pods.get(plan.uid, ()))
    message: str = proofs[plan.uid].message
    return f"{message}; {left} pods left" if plan.uid in pods else message


def _overall(contained: Finding, plans: Sequence[ObjectPlan]) -> Level:
    if contained.status == "True":
        return "L2"
    written = not any(p.unmet for p in plans if p.wanted)
    if not written:
        return ""
    workloads = [p.surface.prove(p.obj).level for p in plans if p.wanted and p.stage == 0]
    return min(workloads, default="L0")


def _contained(
    demand: Demand, plans: Sequence[ObjectPlan], pods: Mapping[str, Sequence[Object]], denied: str
) -> Finding:
    """No compromised pod is left, and nothing may start one."""
    lost = ", ".join(demand.out_of_sight)
    if not demand.scale_to_zero and not lost:
        return Finding("Unknown", reasons.NOT_REQUESTED, "the policy does not scale to zero; see TrafficShifted")
    late = [p for p in plans if p.unmet and p.stage != THEN_TRAFFIC]
    if late:
        return Finding("False", reasons.CONTAINING, f"not yet held: {', '.join(p.ref for p in late)}")
    if denied:
        return Finding("Unknown", reasons.FORBIDDEN, denied)
    if not demand.scale_to_zero:
        text = f"{lost} does not exist any more; whether it left pods behind is not known"
        return Finding("Unknown", reasons.WORKLOAD_NOT_FOUND, text)
    unobserved = [p for p in plans if p.wanted and p.stage == 0 and p.surface.prove(p.obj).level != "L1"]
    if unobserved:
        return Finding("False", reasons.CONTAINING, "; ".join(p.surface.prove(p.obj).message for p in unobserved))
    left = sum(len(found) for found in pods.values())
    if left:
        return Finding("False", reasons.CONTAINING, f"{left} compromised pods are still terminating")
    names = ", ".join(w.ref for w in demand.scale_to_zero)
    gone = f"; {lost} does not exist any more" if lost else ""
    return Finding("True", reasons.PROVED, f"{names} at 0 replicas, no pod left{gone}")


def _traffic(
    demand: Demand,
    scene: Scene,
    plans: Sequence[ObjectPlan],
    endpoints: Sequence[Object] | None,
    refused: str,
    pods: Mapping[str, Sequence[Object]],
    kept: Collection[str],
) -> Finding:
    if not demand.shift:
        return Finding("Unknown", reasons.NOT_REQUESTED, "the policy does not shift traffic")
    ways = [p for p in plans if p.stage == THEN_TRAFFIC and p.wanted]
    if not ways:
        return Finding("Unknown", reasons.NO_WAY_IN, "no route or Service of the namespace leads to the model")
    late = [p.ref for p in ways if p.unmet]
    if late:
        return Finding("False", reasons.CONTAINING, f"not yet moved: {', '.join(late)}")
    if endpoints is None:
        return Finding("Unknown", reasons.FORBIDDEN, refused)
    bad = {p["metadata"]["uid"] for found in pods.values() for p in found} | set(kept)
    leading = _leading_to_bad(ways, endpoints, bad)
    if leading:
        return Finding("False", reasons.CONTAINING, f"endpoints of Service {', '.join(leading)} still lead there")
    unreported = [p for p in ways if p.surface is not SERVICE and p.surface.prove(p.obj).level != "L1"]
    if unreported:
        text = "; ".join(f"{p.ref}: {p.surface.prove(p.obj).message}" for p in unreported)
        return Finding("Unknown", reasons.ROUTE_NOT_REPORTED, text)
    where = demand.known_good.ref if demand.known_good else "the fallback" if demand.fallback else "nowhere"
    return Finding("True", reasons.PROVED, f"{', '.join(p.ref for p in ways)} lead to {where}")


def _leading_to_bad(ways: Sequence[ObjectPlan], endpoints: Sequence[Object], bad: Collection[str]) -> list[str]:
    """Moved Services, one of whose serving endpoints is a compromised pod."""
    moved = {p.obj["metadata"]["name"] for p in ways if p.surface is SERVICE}
    return sorted(
        {
            service
            for service, endpoint in endpoints_of(endpoints)
            if service in moved and pod_behind(endpoint) in bad
            if (endpoint.get("conditions") or {}).get("serving", True)
        }
    )


async def _pods(api: Api, namespace: str, workloads: Sequence[Workload]) -> tuple[dict[str, list[Object]], str]:
    """Unfinished pods by uid of the compromised workload that owns them."""
    found: dict[str, list[Object]] = {}
    for workload in workloads:
        try:
            found[workload.uid] = await unfinished_pods(api, workload, namespace=namespace)
        except Forbidden as error:
            return {}, f"may not read pods: {error.message}"
    return found, ""


async def _endpoints(api: Api, namespace: str) -> tuple[list[Object] | None, str]:
    try:
        return await api.list(ENDPOINT_SLICES, namespace=namespace), ""
    except NotFound:
        return [], ""
    except Forbidden as error:
        return None, f"may not read endpointslices: {error.message}"
