"""What the tags of a template stand for, as running pods tell, and whether one has moved. Pure.

One template whose tag moved is two revisions: what is known of the first says nothing about the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lazaretto.api import reasons
from lazaretto.api.modelrevision import (
    MOST_DIGESTS,
    ContainerDigest,
    DigestConfidence,
    ModelRevision,
    ModelRevisionStatus,
    MovedTag,
)
from lazaretto.domain.identity import image_digest
from lazaretto.domain.pod import Pod, is_ending, is_finished
from lazaretto.domain.scene import Workload


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one look has shown of a revision."""

    confidence: DigestConfidence = ""
    """Empty if nothing runs it: only its template says."""
    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Digests by container, that of the oldest pod first. Nothing about containers that no pod tells of."""


def needs_pods(workload: Workload) -> bool:
    """Whether its pods are worth reading: something is a tag, and all pods are of the present template."""
    return bool(workload.tagged) and workload.rolled_out


def resolve(workloads: Sequence[Workload], *, pods: Mapping[str, Sequence[Pod]]) -> Resolution:
    """What is known of workloads of one identity; `pods` by a workload's uid, none for those that were not read."""
    if not workloads:
        return Resolution()
    unfinished = [p for w in workloads if w.rolled_out for p in pods.get(w.uid, ()) if _runs(p)]
    unfinished.sort(key=lambda p: (str(p["metadata"].get("creationTimestamp", "")), str(p["metadata"].get("name", ""))))
    containers = [name for name, _ in workloads[0].tagged]
    found = {name: _digests(name, unfinished) for name in containers[:MOST_DIGESTS]}
    if not any(w.unpinned for w in workloads):
        confidence: DigestConfidence = "Pinned"
    else:
        agreed = all(len(found.get(name, ())) == 1 for name in containers)
        confidence = "Resolved" if agreed and all(w.resolvable for w in workloads) else "Mutable"
    return Resolution(confidence, {name: digests for name, digests in found.items() if digests})


def _runs(pod: Pod) -> bool:
    return not is_ending(pod) and not is_finished(pod)


def _digests(container: str, pods: Iterable[Pod]) -> tuple[str, ...]:
    """What the pods run in a container, each once. One that has not started yet tells nothing."""
    statuses = (s for pod in pods for s in _statuses(pod) if s.get("name") == container)
    return tuple(dict.fromkeys(filter(None, (image_digest(str(s.get("imageID") or "")) for s in statuses))))


def _statuses(pod: Pod) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the record of a revision says of its digests after a look."""

    confidence: DigestConfidence
    digests: list[ContainerDigest]
    moved: list[MovedTag]
    anew: bool
    """Whether what runs is not what ran at the last look."""
    agreed: bool
    """Whether all pods run the same."""


def stamp(status: ModelRevisionStatus, resolution: Resolution, *, now: datetime) -> Stamp:
    """What follows from a look for the record. What was not seen stays as it was.

    A tag that has moved is remembered with what it stood for at first, until it stands for that again.
    """
    recorded = {d.container: d.digest for d in status.digests}
    moved = {m.container: m for m in status.moved_tags}
    anew = False
    for container, digests in resolution.found.items():
        last = recorded.get(container, digests[0])
        first = moved[container].before if container in moved else last
        anew = anew or any(digest != last for digest in digests)
        recorded[container] = digests[0] if len(digests) == 1 else last
        after = next((digest for digest in reversed(digests) if digest != first), first)
        if after == first:
            moved.pop(container, None)
        elif container not in moved or moved[container].after != after:
            moved[container] = MovedTag(container=container, before=first, after=after, at=now)
    # A template does not change under its identity, but it may be that nothing runs it any more to tell.
    known = status.digest_confidence if status.digest_confidence in ("", "Pinned") else "Mutable"
    return Stamp(
        confidence=resolution.confidence or known,
        digests=[ContainerDigest(container=name, digest=recorded[name]) for name in sorted(recorded)][:MOST_DIGESTS],
        moved=[moved[name] for name in sorted(moved)][:MOST_DIGESTS],
        anew=anew,
        agreed=all(len(digests) == 1 for digests in resolution.found.values()),
    )


Content = tuple[str, frozenset[tuple[str, str]]]
"""A template without images, and the digest that each container runs."""


def content_of(workload: Workload, *, revisions: Iterable[ModelRevision]) -> Content | None:
    """What a workload loads, whatever its images are called; None while that is not known of every container."""
    known = dict(workload.pinned)
    for revision in revisions:
        if revision.spec.identity == workload.identity:
            known |= {d.container: d.digest for d in revision.status.digests}
    if any(container not in known for container, _ in workload.tagged):
        return None
    return workload.frame, frozenset(known.items())


def moved_text(moved: MovedTag) -> str:
    """A move for people, with both digests."""
    return f"{reasons.TAG_MOVED}: the image of container {moved.container} was {moved.before} and is {moved.after}"
