"""What became of every alert that was thrown, model by model.

An incident lists 64 alerts and says by a flag alone that there were more: neither which nor how many. So of those
beyond the list there is one witness, the receiver's own counter, and it counts whole requests and no models.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazaretto.domain.intake import MOST_ALERTS

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over all models; alerts are told apart by their fingerprints."""

    lost: int = 0
    """Neither listed, nor told by the flag of a list that is full."""
    flagged: int = 0
    """Told by that flag alone."""
    wrong: int = 0
    """Listed twice, listed without having been sent, or a flag although all are listed."""


def tally(alerts: Iterable[Object], *, incidents: Iterable[Object], at_once: bool = False) -> Tally:
    """Compares what was sent with what is stored.

    `at_once`: all came in one request. Then the list must have those that began first, in place of any 64.
    """
    sent: defaultdict[str, list[str]] = defaultdict(list)
    for alert in sorted(alerts, key=lambda each: str(each["startsAt"])):
        sent[alert["labels"]["namespace"]].append(alert["fingerprint"])
    stored: defaultdict[str, list[Object]] = defaultdict(list)
    for incident in incidents:
        stored[incident["metadata"]["namespace"]].append(incident["spec"])
    found = [_of_model(list(dict.fromkeys(sent[name])), stored[name], at_once=at_once) for name in sent]
    return Tally(*(sum(each) for each in zip(*((t.lost, t.flagged, t.wrong) for t in found), strict=True)))


def told(alert: Object, *, incidents: Iterable[Object]) -> bool:
    """Whether an alert is listed by one of its model's incidents, or may be one that a full list stands for."""
    specs = [incident["spec"] for incident in incidents]
    return any(
        alert["fingerprint"] in {entry["fingerprint"] for entry in spec["alerts"]}
        or (spec.get("alertsTruncated", False) and len(spec["alerts"]) == MOST_ALERTS)
        for spec in specs
    )


def _of_model(sent: Sequence[str], specs: Sequence[Object], *, at_once: bool) -> Tally:
    listed = Counter(entry["fingerprint"] for spec in specs for entry in spec.get("alerts", ()))
    flag = any(spec.get("alertsTruncated") for spec in specs)
    wrong = listed.total() - len(listed) + len(listed.keys() - set(sent)) + (flag and len(sent) <= MOST_ALERTS)
    missing = [fingerprint for fingerprint in sent if fingerprint not in listed]
    if not flag:
        return Tally(len(missing), 0, wrong)
    room = MOST_ALERTS - len(listed.keys() & set(sent))
    lost = len(set(sent[:MOST_ALERTS]) - listed.keys()) if at_once else max(0, min(room, len(missing)))
    return Tally(lost, len(missing) - lost, wrong)
