"""Routes as people write them and as the API server stores them, and the Services that they send to."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from lazaretto.api.references import ServiceReference
from lazaretto.domain.scene import Demand, Workload
from tests.unit.domain.objects import NAMESPACE, scene, service, workload

Object = dict[str, Any]

GOOD, BAD, WORSE = workload("good"), workload("bad"), workload("worse")
OTHER = workload("other", pod_labels={"app": "shop"})
SCENE = scene(
    [GOOD, BAD, WORSE, OTHER],
    [
        service("good", track="good", ports=(80, 81)),
        service("spare", track="good", ports=(8080,)),
        service("bad", track="bad"),
        service("bad-too", track="bad"),
        service("worse", track="worse"),
        service("mixed", app="chat"),
        service("page", app="page", ports=(9090, 8080)),
        service("other", app="shop"),
    ],
)
LEADS: Mapping[str, frozenset[str]] = {
    **{name: frozenset({"good"}) for name in ("good", "spare")},
    **{name: frozenset({"bad"}) for name in ("bad", "bad-too")},
    **{name: frozenset({name}) for name in ("worse", "page", "other")},
    "mixed": frozenset({"good", "bad", "worse"}),
}
"""Workloads behind each Service."""


def demand(
    *compromised: Workload, good: Workload | None = GOOD, fallback: str = "", port: int = 8080, shift: bool = True
) -> Demand:
    """What holds on these workloads demand; of BAD unless told otherwise."""
    reference = ServiceReference(name=fallback, port=port) if fallback else None
    bad = compromised or (BAD,)
    return Demand(bad, bad, shift, None if good in bad else good, reference)


def leading_to_bad(wanted: Demand) -> set[str]:
    """Services that no route may send to."""
    bad, good = {w.name for w in wanted.compromised}, wanted.known_good.name if wanted.known_good else ""
    return {name for name, behind in LEADS.items() if behind & bad and good not in behind}


def leading_to_good(wanted: Demand) -> set[str]:
    """Services that a route may send to instead."""
    bad = {w.name for w in wanted.compromised}
    if wanted.known_good:
        return {name for name, behind in LEADS.items() if wanted.known_good.name in behind and not behind & bad}
    name = wanted.fallback.name if wanted.fallback else ""
    return {name} if name in LEADS and not LEADS[name] & bad else set()


def backend(name: str, weight: int | None = None, *, port: int = 80, **more: Any) -> Object:
    """A backendRef; without a weight as people write it."""
    return {"name": name, "port": port, **({} if weight is None else {"weight": weight}), **more}


def mirror(name: str, *, port: int = 80, **more: Any) -> Object:
    """A filter that sends a copy of every request there."""
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name, "port": port}, **more}}


def header(value: str = "<chat & ü>") -> Object:
    """A filter that is none of our business."""
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x", "value": value}]}}


def rule(*backends: Object, **more: Any) -> Object:
    """A rule."""
    return {"backendRefs": list(backends), **more}


def matching(path: str) -> list[Object]:
    """The matches of a rule for one path."""
    return [{"path": {"type": "PathPrefix", "value": path}}]


def route(*rules: Object, kind: str = "HTTPRoute") -> Object:
    """A route with these rules."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "chat", "namespace": NAMESPACE, "uid": "u1", "generation": 1},
        "spec": {"parentRefs": [{"name": "front"}], "hostnames": ["chat.example"], "rules": copy.deepcopy(list(rules))},
    }


def stored(body: Object) -> Object:
    """The route with the defaults of its CRD, as the API server stores it."""
    body = copy.deepcopy(body)
    for each in body["spec"]["rules"]:
        if body["kind"] == "HTTPRoute":
            each.setdefault("matches", matching("/"))
        for ref in each.get("backendRefs") or ():
            ref |= {"group": "", "kind": "Service", "weight": 1} | ref
        for found in _filters(each):
            ref = (found.get("requestMirror") or {}).get("backendRef")
            if ref is not None:
                ref |= {"group": "", "kind": "Service"} | ref
    return body


def own_service(ref: Mapping[str, Any]) -> str:
    """Name of the Service of the route's namespace that is referred to; empty if it is something else."""
    if (ref.get("group", ""), ref.get("kind", "Service")) != ("", "Service"):
        return ""
    return str(ref["name"]) if ref.get("namespace", NAMESPACE) == NAMESPACE else ""


def weights(body: Object) -> list[list[tuple[str, int]]]:
    """Name and weight of each backend, rule by rule."""
    rules = body["spec"]["rules"]
    return [[(b["name"], b.get("weight", 1)) for b in each.get("backendRefs") or ()] for each in rules]


def mirrored(body: Object) -> list[str]:
    """Services of the route's namespace that get a copy."""
    found = [f["requestMirror"] for each in body["spec"]["rules"] for f in _filters(each) if "requestMirror" in f]
    return [name for m in found if (name := own_service(m["backendRef"]))]


def _filters(each: Object) -> list[Object]:
    lists = [each, *(each.get("backendRefs") or ())]
    return [found for place in lists for found in place.get("filters") or ()]


# What Hypothesis makes of all that. At most 27 fields of a route are held, so that the journal has room.

_PLACES: Any = st.fixed_dictionaries(
    {"name": st.sampled_from(["good", "bad", "bad", *LEADS, "gone"]), "port": st.sampled_from([80, 81])},
    optional={"namespace": st.sampled_from([NAMESPACE, NAMESPACE, "elsewhere"]), "kind": st.just("Service")},
)
_POOLS: Any = st.just({"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "bad"})
_SHARES: Any = st.fixed_dictionaries({}, optional={"percent": st.just(5)}) | st.just({"fraction": {"numerator": 1}})
_MIRRORS: Any = st.builds(
    lambda ref, share: {"type": "RequestMirror", "requestMirror": {"backendRef": ref, **share}}, _PLACES, _SHARES
)
_FILTERS: Any = st.just(header()) | _MIRRORS | st.just(mirror("bad"))
_BACKENDS: Any = st.builds(
    lambda ref, more: {**ref, **more},
    _PLACES | _PLACES | _POOLS,
    st.fixed_dictionaries(
        {}, optional={"weight": st.sampled_from([0, 1, 9, 90]), "filters": st.lists(_FILTERS, max_size=1)}
    ),
)
_RULES: Any = st.fixed_dictionaries(
    {},
    optional={
        "backendRefs": st.lists(_BACKENDS, max_size=4),
        "matches": st.sampled_from([matching("/a"), matching("/b"), [*matching("/a"), *matching("/b")]]),
        "filters": st.lists(_FILTERS, max_size=2),
        "timeouts": st.just({"request": "30s"}),
    },
)


def _named(rules: Sequence[Object], names: Sequence[str]) -> list[Object]:
    return [{**each, **({"name": name} if name else {})} for each, name in zip(rules, names, strict=False)]


_NAMES = st.permutations(["main", "mirrors", "", "", ""])
ROUTES: Any = st.builds(
    lambda rules, names, kind, as_stored: (stored if as_stored else copy.deepcopy)(
        route(*_named(rules, names), kind=kind)
    ),
    st.lists(_RULES, min_size=1, max_size=3),
    _NAMES,
    st.sampled_from(["HTTPRoute", "GRPCRoute"]),
    st.booleans(),
)
DEMANDS: Any = st.builds(
    lambda bad, good, fallback, shift: demand(*bad, good=good, fallback=fallback, shift=shift),
    st.sampled_from([(BAD,), (WORSE,), (BAD, WORSE), (BAD, GOOD)]),
    st.sampled_from([GOOD, GOOD, None]),
    st.sampled_from(["", "page", "bad-too", "nowhere"]),
    st.sampled_from([True, True, True, False]),
)
