"""What a story without a fault writes, tells and leaves behind, with which every other one is compared.

`test_matrix.py` plays such stories and fails if this is not what they do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.cluster.audit import AuditRecord
from tests.e2e.calls_budget import CALLS
from tests.e2e.ledger import TARGETS, Ledger, named
from tests.e2e.raw_api import Object
from tests.e2e.scene import Scene
from tests.e2e.shapes import BAD, MODEL
from tests.faults.plans import CONTAIN, RELEASE

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_MARKED = ("deployments", "services", "httproutes", "horizontalpodautoscalers", "modelrevisions")
_COUNTED = (*_MARKED, "networkpolicies", "containments", "configmaps", "pods")
_HELD = (f"Deployment/{BAD} spec.replicas", f"HorizontalPodAutoscaler/{BAD} spec.behavior")
_WEIGHTS = tuple(f"HTTPRoute/{MODEL} {name}" for name in (BAD, f"{MODEL}-v1"))

FACTS = frozenset(
    {
        *("Stored stored", "Decided decided", "Journalled journalled", "Evidence evidence:snapshot"),
        *("Proved proved:fenced", "Proved proved:contained", "Released released"),
        *(f"{type_} {what}" for type_ in ("Acted", "Restored") for what in (*_HELD, *_WEIGHTS)),
        *(f"ApproveRelease {user}" for user in ("alice", "bob")),
    }
)
"""What a timeline tells in the end."""

WRITTEN: Mapping[str, tuple[int, int]] = {
    name: (contain.most, release.most)
    for name, (contain, _, release) in CALLS.items()
    if name.startswith(("create", "patch", "delete")) and "dry run" not in name and name != "create events"
}
"""How often each object is written at most, while it is contained and while it is released. No fault needs more: a
write whose answer was lost is guarded by what it was based on, and a status is written if it differs."""


def facts(incident: Object) -> set[str]:
    """The timeline as `FACTS` has it."""
    return {_fact(entry) for entry in incident["status"]["timeline"]}


def _fact(entry: Object) -> str:
    key, type_ = entry["key"], entry["type"]
    if type_ == "Decided":
        return f"{type_} decided"
    if not _UID.search(key):
        return f"{type_} {key}"
    backend = re.search(r"backends/Service:([^:]+):\d+\.weight$", entry["field"])
    return f"{type_} {entry['by'] or entry['object']} {backend[1] if backend else entry['field']}".rstrip()


def phased(ledger: Ledger) -> Iterator[tuple[str, AuditRecord]]:
    """What the operator wrote, and in which phase."""
    decided = ledger.decided()
    for record in ledger.stored():
        yield CONTAIN if decided is None or record.received < decided else RELEASE, record


def excess(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """What was written more often than that, by the property that this breaks."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for phase, record in phased(ledger):
        counted[phase, named(record), "" if record.verb == "create" else record.name] += 1
    for (phase, what, name), count in counted.items():
        most = WRITTEN[what][phase == RELEASE] if what in WRITTEN else count
        if what == "create configmaps":
            # What is kept as evidence is stored when containment has what it needs, so perhaps after the approval.
            count, most = sum(counted[each, what, name] for each in (CONTAIN, RELEASE)), sum(WRITTEN[what])
        if count > most:
            property_ = "X" if what in TARGETS or what.endswith(" containments") else "B"
            yield property_, f"{what} {name} was carried out {count} times, not {most}, to {phase}"


def standing(scene: Scene) -> dict[str, Any]:
    """What must be the same before a story and after it: specs, labels and annotations, and what there is.

    The ConfigMap that the incident names as its evidence has to be there, and is left out. An incident may say that
    there is none: the API server may refuse it for longer than the budget of the evidence.
    """
    found: dict[str, Any] = dict(scene.specs())
    evidence = ((scene.incident() or {}).get("status", {}).get("evidence") or {}).get("configMap")
    for plural in _COUNTED:
        objects = scene.all(plural)
        names = Counter(_name(each) for each in objects)
        # The controller of the namespace brings it, when it comes to it.
        names.pop("kube-root-ca.crt", None)
        if plural == "configmaps" and evidence:
            names[evidence] -= 1
        found[f"the {plural} that there are"] = {name: count for name, count in names.items() if count}
        for each in objects if plural in _MARKED else ():
            meta = each["metadata"]
            marks = {key: meta.get(key) for key in ("labels", "annotations", "finalizers", "ownerReferences")}
            found[f"the marks of {plural}/{meta['name']}"] = marks
    return found


def _name(body: Object) -> str:
    meta = body["metadata"]
    return str(meta.get("generateName") or meta["name"])
