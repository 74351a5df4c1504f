"""What was there before a containment destroyed it, as the parts of one ConfigMap. Pure.

Every part is a JSON list with one item a line, without secrets (`redaction`), and no longer than its share; what does
not fit is left out and counted. `manifest.json` has the digest and size of each, and says what is missing and why; its
own digest goes into the incident's timeline, so that a part that was changed later shows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lazaretto.api.aiincident import AIIncident
from lazaretto.api.containment import Hold, JournalTarget
from lazaretto.api.meta import LABEL_EVIDENCE, LABEL_INCIDENT, LABEL_MODEL, rfc3339
from lazaretto.domain.redaction import log_lines, redacted

Object = Mapping[str, Any]

MANIFEST = "manifest.json"
SHARES: Mapping[str, int] = {
    "incident.json": 40_000,
    "workloads.json": 64_000,
    "traffic.json": 40_000,
    "bases.json": 24_000,
    "images.json": 24_000,
    "pods.json": 40_000,
    "events.json": 16_000,
    "configuration.json": 32_000,
    "logs.json": 128_000,
}
"""Most bytes of each part; all of them and the manifest stay below 384 KiB."""
MOST_LOGS = 16
"""Containers whose logs are kept."""
MOST_PODS = 256
MOST_WHOLE_PODS = 8
MOST_EVENTS = 64
MOST_MISSING = 16
NEVER_READ = (
    "ReplicaSets: no right to read them; pods name theirs in ownerReferences",
    "contents of ConfigMaps and Secrets: workloads name them",
)
"""What no snapshot has."""
NO_CONFIGURATION = (
    "digests of ConfigMaps or Secrets: not asked for by evidence.configuration or evidence.secrets, or none is named"
)
NO_LOGS = "logs: not asked for by evidence.logLines, or there was no pod"
_LABEL = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class Log:
    """The end of a container's log."""

    pod: str
    container: str
    text: str = ""
    missing: str = ""
    """Why it could not be read."""


@dataclass(frozen=True, slots=True)
class Material:
    """Everything a snapshot is made of, as it was read."""

    incident: AIIncident
    hold: Hold
    workloads: Sequence[Object]
    """The compromised ones."""
    traffic: Sequence[Object]
    """Routes, Services and autoscalers that lead to them."""
    bases: Sequence[JournalTarget]
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    logs: Sequence[Log] = ()
    configuration: Sequence[Object] = ()
    """What is kept of ConfigMaps and Secrets."""
    missing: Sequence[str] = ()
    """What was to be read and was not, with the reason."""
    late: bool = False
    """Whether the containment had begun to write before anything was read."""

    def filled(
        self,
        *,
        pods: Sequence[Object],
        events: Sequence[Object],
        logs: Sequence[Log],
        configuration: Sequence[Object],
        missing: Sequence[str],
    ) -> Material:
        """The same with what was read afterwards."""
        return replace(self, pods=pods, events=events, logs=logs, configuration=configuration, missing=missing)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is to be stored."""

    body: Mapping[str, Any]
    """The ConfigMap."""
    manifest: str
    """SHA-256 of `manifest.json`."""
    missing: Sequence[str]
    """What it lacks, and why."""


def name_of_snapshot(incident: AIIncident) -> str:
    """One name for each incident, also for one that has the name of an earlier one; never longer than a name may be."""
    meta = incident.metadata
    digest = hashlib.sha256(meta.uid.encode()).hexdigest()[:10]
    return f"{meta.name[:220].rstrip('.-')}-evidence-{digest}"


def snapshot(material: Material, *, now: datetime) -> Snapshot:
    """The snapshot, taken now."""
    parts: dict[str, str] = {}
    missing = [*material.missing, *_beyond(material.pods), *_unread(material.logs)]
    for name, items in _items(material).items():
        parts[name], left_out = _part(items, share=SHARES[name])
        if left_out:
            missing.append(f"{name}: {left_out} of {len(items)} items do not fit")
    if material.late:
        missing.append("the state before the first write, beyond bases.json: the process that began was interrupted")
    manifest = _line(_manifest(material, parts, missing, now))
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name_of_snapshot(material.incident),
            "namespace": material.incident.metadata.namespace,
            "labels": _labels(material.incident),
        },
        "immutable": True,
        "data": {**parts, MANIFEST: manifest},
    }
    return Snapshot(body, hashlib.sha256(manifest.encode()).hexdigest(), tuple(missing))


def events_about(events: Sequence[Object], *, workloads: Sequence[Object], pods: Sequence[Object]) -> list[Object]:
    """The newest Events of these workloads, their pods, and what owns those."""
    objects = [*workloads, *pods]
    uids = {_meta(each).get("uid") for each in objects}
    uids |= {owner.get("uid") for pod in pods for owner in _meta(pod).get("ownerReferences") or ()}
    found = [each for each in events if (each.get("involvedObject") or {}).get("uid") in uids - {None}]
    return sorted(found, key=_moment)[-MOST_EVENTS:]


def _items(material: Material) -> dict[str, list[Any]]:
    pods = sorted(material.pods, key=lambda pod: str(_meta(pod).get("name")))
    return {
        "incident.json": _incident(material.incident),
        "workloads.json": [redacted(each) for each in material.workloads],
        "traffic.json": [redacted(each) for each in material.traffic],
        "bases.json": [redacted(each.dump()) for each in material.bases],
        "images.json": [_images(pod) for pod in pods[:MOST_PODS]],
        "pods.json": [redacted(pod) for pod in pods[:MOST_WHOLE_PODS]],
        "events.json": [redacted(each) for each in material.events],
        "configuration.json": list(material.configuration),
        "logs.json": [_log(each, share=SHARES["logs.json"] // len(material.logs)) for each in material.logs],
    }


def containers(pods: Sequence[Object]) -> list[tuple[str, str]]:
    """Names of pod and container of which logs are kept."""
    ordered = sorted(pods, key=lambda pod: str(_meta(pod).get("name")))
    found = [(pod, each) for pod in ordered for each in (pod.get("spec") or {}).get("containers") or ()]
    return [(str(_meta(pod).get("name")), str(each.get("name"))) for pod, each in found][:MOST_LOGS]


def _unread(logs: Sequence[Log]) -> list[str]:
    lost = [log for log in logs if log.missing]
    return [f"logs.json: {len(lost)} of {len(logs)} containers: {lost[0].missing}"] if lost else []


def _log(log: Log, *, share: int) -> dict[str, Any]:
    """The newest lines that fit into the share, in their order."""
    about: dict[str, Any] = {"pod": log.pod, "container": log.container}
    if log.missing:
        return about | {"missing": log.missing}
    lines = log_lines(log.text)
    kept: list[str] = []
    room = share - len(_line(about | {"lines": [], "leftOut": len(lines)})) - len(",\n")
    for line in reversed(lines):
        room -= len(_line(line)) + 1
        if room < 0:
            break
        kept.append(line)
    return about | {"lines": kept[::-1], "leftOut": len(lines) - len(kept)}


def _beyond(pods: Sequence[Object]) -> list[str]:
    """What is left out of many pods."""
    found = [f"pods.json: {len(pods)} pods, {MOST_WHOLE_PODS} of them whole"] if len(pods) > MOST_WHOLE_PODS else []
    return [*found, *([f"images.json: {MOST_PODS} of {len(pods)} pods"] if len(pods) > MOST_PODS else [])]


def _incident(incident: AIIncident) -> list[Any]:
    """What was reported, alert by alert: texts in alerts are anybody's."""
    spec = incident.spec.dump()
    alerts = spec.pop("alerts", [])
    return [redacted(spec, free=True), *(redacted(alert, free=True) for alert in alerts)]


def _images(pod: Object) -> dict[str, Any]:
    """What really ran: the digests that the kubelet resolved."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    kept = ("name", "image", "imageID", "restartCount")
    return {
        "pod": _meta(pod).get("name"),
        "uid": _meta(pod).get("uid"),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "phase": status.get("phase"),
        "startTime": status.get("startTime"),
        "containers": [{key: each[key] for key in kept if key in each} for each in containers],
    }


def _part(items: Sequence[Any], *, share: int) -> tuple[str, int]:
    """The list as text, and how many items did not fit."""
    lines: list[str] = []
    size = len("[\n\n]")
    for each in items:
        line = _line(each)
        if size + len(line) + 2 <= share:
            lines.append(line)
            size += len(line) + 2
    return "[\n" + ",\n".join(lines) + "\n]", len(items) - len(lines)


def _manifest(
    material: Material, parts: Mapping[str, str], missing: Collection[str], now: datetime
) -> Mapping[str, Any]:
    meta = material.incident.metadata
    return {
        "version": 1,
        "incident": meta.name,
        "incidentUID": meta.uid,
        "namespace": meta.namespace,
        "compromised": [w.ref for w in material.hold.compromised],
        "heldSince": rfc3339(material.hold.since),
        "takenAt": rfc3339(now),
        "parts": {
            name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}
            for name, text in parts.items()
        },
        "missing": [text[:256] for text in list(missing)[:MOST_MISSING]],
        "neverRead": (
            *NEVER_READ,
            *(() if material.configuration else (NO_CONFIGURATION,)),
            *(() if material.logs else (NO_LOGS,)),
        ),
    }


def _labels(incident: AIIncident) -> dict[str, str]:
    value = _LABEL.sub("", incident.metadata.name[:63]).strip("._-")
    labels = {"app.kubernetes.io/managed-by": "lazaretto", LABEL_INCIDENT: value, LABEL_EVIDENCE: "snapshot"}
    return labels | ({LABEL_MODEL: incident.spec.target.model} if incident.spec.target else {})


def _line(value: Any) -> str:
    # Escapes, so that bytes are characters and no text of any origin is one that cannot be stored.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _meta(obj: Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = obj.get("metadata") or {}
    return found


def _moment(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or _meta(event).get("creationTimestamp") or "")
