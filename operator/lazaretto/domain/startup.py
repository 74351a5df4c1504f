"""Why a workload does not come up, and whether its pods are what its template says, as far as they tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazaretto.domain.identity import image_digest, without_defaults
from lazaretto.domain.pod import says_ready
from lazaretto.domain.text import clean

Object = Mapping[str, Any]
LONGEST = 200
_STARTING = ("", "ContainerCreating", "PodInitializing")
_SETTLED = ("name", "command", "args", "workingDir")


@dataclass(frozen=True, slots=True)
class Startup:
    """Why a workload is not ready, as far as it shows."""

    shortage: str = ""
    """Capacity or quota: something that stopping others frees."""
    trouble: str = ""
    """Anything else."""


def startup_of(deployment: Object, *, pods: Sequence[Object], events: Sequence[Object] = ()) -> Startup:
    """The first shortage and the first trouble that are found."""
    shortage, trouble = _refused(deployment)
    waiting = [p for p in pods if not says_ready(p)]
    for pod in waiting:
        unplaced = _unplaced(pod)
        if "Insufficient" in unplaced or "Too many pods" in unplaced:
            shortage = shortage or unplaced
        else:
            trouble = trouble or unplaced
    trouble = trouble or next((why for pod in waiting for why in _stuck(pod)), "")
    uids = {p["metadata"]["uid"] for p in waiting}
    trouble = trouble or next(_mounts(events, uids), "")
    return Startup(shortage, trouble)


def _refused(deployment: Object) -> tuple[str, str]:
    """Pods that the API server did not take: (for a quota, for anything else)."""
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    failure = next((c for c in conditions if c.get("type") == "ReplicaFailure" and c.get("status") == "True"), None)
    if failure is None:
        return "", ""
    said = str(failure.get("message") or "")
    told = f"{failure.get('reason', 'FailedCreate')}: {_short(said)}"
    return (told, "") if "exceeded quota" in said else ("", told)


def _unplaced(pod: Object) -> str:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    found = next((c for c in conditions if c.get("type") == "PodScheduled" and c.get("status") == "False"), None)
    return f"{found.get('reason', 'Unschedulable')}: {_short(found.get('message', ''))}" if found else ""


def _stuck(pod: Object) -> Iterator[str]:
    """Containers that wait for something that does not come by itself, such as an image."""
    status = pod.get("status") or {}
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if (reason := str(waiting.get("reason") or "")) not in _STARTING:
            yield f"{reason}: container {each.get('name')}: {_short(waiting.get('message', ''))}"


def _mounts(events: Iterable[Object], uids: set[str]) -> Iterator[str]:
    """What keeps volumes from being mounted is said in Events alone."""
    for event in events:
        about = (event.get("involvedObject") or {}).get("uid")
        if about in uids and event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            yield f"{event['reason']}: {_short(event.get('message', ''))}"


def altered(template: Object, pods: Iterable[Object]) -> str:
    """What differs between a template and a pod that was made from it; empty if all load what the template says.

    Containers that admission adds, and environment variables, are let pass; what the template names must be unchanged.
    An image may be fetched from elsewhere under the same digest.
    """
    for pod in pods:
        for kind in ("containers", "initContainers"):
            made = {c.get("name"): c for c in (pod.get("spec") or {}).get(kind) or ()}
            for container in (template.get("spec") or {}).get(kind) or ():
                if why := _altered(container, made.get(container.get("name"))):
                    return f"pod {pod['metadata']['name']} is not what the template says: {why}"
    return ""


def _altered(wanted: Object, made: Object | None) -> str:
    name = wanted.get("name")
    if made is None:
        return f"it has no container {name}"
    image, runs = str(wanted.get("image") or ""), str(made.get("image") or "")
    if runs != image and (not image_digest(image) or image_digest(image) != image_digest(runs)):
        return f"container {name} runs {_short(runs)}, not {_short(image)}"
    for field in _SETTLED:
        if without_defaults(wanted.get(field)) != without_defaults(made.get(field)):
            return f"{field} of container {name} was changed"
    variables = {e.get("name"): without_defaults(e) for e in made.get("env") or ()}
    for each in wanted.get("env") or ():
        if variables.get(each.get("name")) != without_defaults(each):
            return f"variable {each.get('name')} of container {name} was changed"
    return ""


def _short(said: object) -> str:
    return clean(str(said), bound=LONGEST)
