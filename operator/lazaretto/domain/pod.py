"""What a pod says of itself: whether it serves, is on its way out, or is over. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Pod = Mapping[str, Any]


def is_ending(pod: Pod) -> bool:
    """Whether it was told to go; it may serve to the last."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_finished(pod: Pod) -> bool:
    """Whether all of its containers have ended, and none is started again."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def says_ready(pod: Pod) -> bool:
    """Whether its condition says so, on its way out or not."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def is_ready(pod: Pod) -> bool:
    """Whether it serves, and is not about to end."""
    return not is_ending(pod) and says_ready(pod)
