"""The copy: a workload made of a recorded pod template, beside the one that is compromised. Pure.

It stands at zero replicas when it is made; raising it is somebody else's decision. Its pods carry a label of its own,
and lack what would make them those of another workload: no selector, hold or fence of the compromised takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lazaretto.api.containment import PlannedCopy
from lazaretto.api.meta import LABEL_COPY, LABEL_MODEL
from lazaretto.api.modelrevision import ModelRevision
from lazaretto.domain.identity import identity_of, loads_of
from lazaretto.domain.recorded_template import plain, template_of
from lazaretto.domain.scene import Labels, Workload

Object = Mapping[str, Any]

OURS = {"app.kubernetes.io/managed-by": "lazaretto"}
ROLE = "bind the ClusterRole lazaretto-copies to the operator's account in this namespace"
LONGEST_NAME = 52
"""Room is left for what is appended to it in the names of pods."""
_GENERAL = ("app", "app.kubernetes.io/name", "app.kubernetes.io/part-of")
"""Labels that other things select by; they are given up last."""


def copy_name(workload: str, identity: str) -> str:
    """The name of the copy of what a workload ran, told apart from other copies by what it runs."""
    end = f"-kg-{identity[:6]}"
    return workload.replace(".", "-")[: LONGEST_NAME - len(end)].rstrip("-") + end


def records_out_of_service(revisions: Sequence[ModelRevision], workloads: Iterable[Workload]) -> list[Workload]:
    """What no workload runs any more and copies could be made of, as workloads that do not exist; by name."""
    run = {w.identity for w in workloads}
    found: dict[str, Workload] = {}
    for revision in revisions:
        recorded, identity = revision.status.recorded, revision.spec.identity
        if recorded is None or identity in run or identity in found:
            continue
        template = template_of(recorded)
        if identity_of(template) == identity:
            found[identity] = _as_workload(template, name=copy_name(recorded.name, identity))
    return sorted(found.values(), key=lambda w: w.name)


def _as_workload(template: Object, *, name: str) -> Workload:
    labels = (template.get("metadata") or {}).get("labels") or {}
    return Workload(
        kind="Deployment",
        name=name,
        uid="",
        pod_labels={**labels, LABEL_COPY: name},
        selector={LABEL_COPY: name},
        replicas=0,
        ready=0,
        available=False,
        available_since=None,
        exists=False,
        **loads_of(template),
    )


def copy_labels(labels: Labels, *, apart_from: Iterable[Labels]) -> dict[str, str]:
    """The labels without the fewest that make a pod with them belong to one of these selectors."""
    kept = dict(labels)
    for selector in apart_from:
        if selector and selector.items() <= kept.items():
            given_up = min(selector, key=lambda key: (key in _GENERAL, key))
            del kept[given_up]
    return kept


def copy_body(planned: PlannedCopy, template: Object, *, model: str, apart_from: Iterable[Labels]) -> dict[str, Any]:
    """The Deployment. `apart_from` are selectors whose pods the copy's must not be."""
    own = {LABEL_COPY: planned.name}
    meta = template.get("metadata") or {}
    labels = copy_labels(meta.get("labels") or {}, apart_from=apart_from) | own
    annotations = {"annotations": dict(meta["annotations"])} if meta.get("annotations") else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": planned.name, "labels": {**OURS, LABEL_MODEL: model, **own}},
        "spec": {
            "replicas": 0,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": own},
            "template": {"metadata": {"labels": labels, **annotations}, "spec": template.get("spec") or {}},
        },
    }


def is_ours(obj: Object, *, model: str) -> bool:
    """Whether a Deployment is marked as a copy of this model's."""
    meta = obj.get("metadata") or {}
    labels = meta.get("labels") or {}
    return {**OURS, LABEL_MODEL: model, LABEL_COPY: meta.get("name")}.items() <= labels.items()


def is_as_made(obj: Object, body: Object) -> bool:
    """Whether a Deployment is what `body` was stored as: nothing of what its pods are was changed."""
    spec, wanted = obj.get("spec") or {}, body["spec"]
    same = plain(spec.get("template") or {}) == plain(wanted["template"])
    return same and bool(spec.get("selector") == wanted["selector"])


def lacking_text(lacking: Sequence[str]) -> str:
    """Why pods would not start, for people."""
    return f"{', '.join(lacking)}, which its pods need, does not exist"


def needs_of(template: Object) -> list[tuple[str, str]]:
    """Kind and name of what the template's pods do not start without, Secrets left out: those are not ours to read."""
    spec = template.get("spec") or {}
    found = {("ServiceAccount", str(spec.get("serviceAccountName") or "default"))}
    volumes = spec.get("volumes") or ()
    found |= {
        ("PersistentVolumeClaim", v["persistentVolumeClaim"]["claimName"])
        for v in volumes
        if v.get("persistentVolumeClaim")
    }
    sources = [v.get("configMap") for v in volumes]
    sources += [s.get("configMap") for v in volumes for s in (v.get("projected") or {}).get("sources") or ()]
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        sources += [(e.get("valueFrom") or {}).get("configMapKeyRef") for e in container.get("env") or ()]
        sources += [e.get("configMapRef") for e in container.get("envFrom") or ()]
    found |= {("ConfigMap", str(s["name"])) for s in sources if s and s.get("name") and not s.get("optional")}
    return sorted(found)
