"""Pod templates that outlive their workload: what of them is kept, and what is not. Pure.

A template is kept as it is or not at all: one with a value taken out would start something else. So one that shows a
secret, which whoever may read a ModelRevision could read from then on, is not kept, and the reason says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lazaretto.api.modelrevision import LONGEST_TEMPLATE, ModelRevision, RecordedTemplate
from lazaretto.domain.literal_secret import literal_secret
from lazaretto.domain.scene import Workload

Template = Mapping[str, Any]

_RESTARTS = frozenset({"kubectl.kubernetes.io/restartedAt"})


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the record of a revision is to say about its template."""

    recorded: RecordedTemplate | None
    why_not: str = ""


def keeping(revision: ModelRevision, serving: Iterable[Workload], *, templates: Mapping[str, Template]) -> Keeping:
    """The template of the first of the workloads that serve the revision; what is known already if none does.

    `templates` are by uid of their workload.
    """
    for workload in sorted(serving, key=lambda w: w.ref):
        template = templates.get(workload.uid)
        if template is not None and workload.rolled_out:
            return _kept(workload, template)
    return Keeping(revision.status.recorded, revision.status.unrecorded)


def _kept(workload: Workload, template: Template) -> Keeping:
    kept = plain(template)
    if secret := literal_secret(kept):
        return Keeping(
            None, f"{secret} of {workload.ref} looks like a secret that is written down; name a Secret there"
        )
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LONGEST_TEMPLATE:
        return Keeping(None, f"the template of {workload.ref} is longer than {LONGEST_TEMPLATE} characters of JSON")
    return Keeping(RecordedTemplate(kind="Deployment", name=workload.name, template=text))


def template_of(recorded: RecordedTemplate) -> Template:
    """The template itself; empty if what is recorded is none."""
    try:
        found = json.loads(recorded.template)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def plain(template: Template) -> Template:
    """What of a template decides about its pods: labels, annotations but those that only restart them, and the spec."""
    meta = template.get("metadata") or {}
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in _RESTARTS}
    parts = {"labels": dict(meta.get("labels") or {}), "annotations": annotations}
    return {"metadata": {k: v for k, v in parts.items() if v}, "spec": template.get("spec") or {}}
