"""A copy of the bad Deployment under another name, with labels of its own that the model selects as well."""

from __future__ import annotations

import copy

from tests.e2e.shapes import BAD, MODEL, Object, Shape, workloads

COPY = f"{BAD}-again"


def bad_copy(*, replicas: int = 2) -> Object:
    """The copy; for a model that selects its Deployments by their labels."""
    body = copy.deepcopy(
        next(b for b in workloads(Shape()) if (b["kind"], b["metadata"]["name"]) == ("Deployment", BAD))
    )
    labels = {"app": MODEL, "revision": "again"}
    body["metadata"] = {"name": COPY, "labels": {"app": MODEL}}
    body["spec"] |= {"replicas": replicas, "selector": {"matchLabels": labels}}
    body["spec"]["template"]["metadata"]["labels"] = labels
    return body
