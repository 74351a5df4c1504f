"""What the script compares and lays out: objects before and after, approvals, an incident's timeline."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.demo.screen import Clock, stamp

Specs = dict[str, Any]


def specs(listing: Mapping[str, Any]) -> Specs:
    """Everything that somebody wanted of the objects, by Kind/name: spec, labels and annotations, unabridged."""
    return {
        f"{each['kind']}/{each['metadata']['name']}": {
            "spec": each["spec"],
            "labels": each["metadata"].get("labels"),
            "annotations": each["metadata"].get("annotations"),
        }
        for each in listing["items"]
    }


def differences(before: Specs, after: Specs) -> dict[str, str]:
    """What differs, by Kind/name; empty when nothing does."""
    return {
        name: f"was {before.get(name)}, is {after.get(name)}"
        for name in before | after
        if before.get(name) != after.get(name)
    }


def approval(name: str, *, incident: str, uid: str, by: str) -> str:
    """An IncidentDecision that approves the release."""
    document = {
        "apiVersion": "lazaretto.dev/v1alpha1",
        "kind": "IncidentDecision",
        "metadata": {"name": name},
        "spec": {
            "incidentName": incident,
            "incidentUID": uid,
            "verb": "ApproveRelease",
            "decidedBy": by,
            "reason": "v2 is repaired, its evaluation passed",
        },
    }
    return yaml.safe_dump(document, sort_keys=False)


def timeline_rows(text: str, *, clock: Clock) -> list[tuple[str, str, str, str]]:
    """Rows of time, time since the metric went bad, type and message, of tab-separated lines.

    What the API server stamped has whole seconds, too coarse to count from anything.
    """
    rows = []
    for line in text.splitlines():
        at, kind, message = line.split("\t", 2)
        moment = datetime.fromisoformat(at)
        rows.append((stamp(moment), clock.since_wall(moment) if moment.microsecond else "", kind, message))
    return rows


def output_of(command: Sequence[str], *, home: Path) -> str:
    """Standard output of a program that sees nothing of the caller's settings."""
    done = subprocess.run(command, env={"HOME": str(home)}, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise OSError(f"{command[0]} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
