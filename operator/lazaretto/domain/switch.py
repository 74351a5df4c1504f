"""The one switch: a ConfigMap that stops all automatic action. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SWITCH = "lazaretto-switch"
"""Name of the ConfigMap, in the operator's own namespace."""
_KEY = "mode"


def switched_off(data: Mapping[str, object] | None) -> str:
    """Why nothing may be done without a person; empty if the policies decide.

    `data` is the ConfigMap's, None without one. What is there and cannot be understood was meant to stop something.
    """
    if data is None:
        return ""
    mode = data.get(_KEY)
    if mode == "Automatic":
        return ""
    if mode == "Observe":
        return f"ConfigMap {SWITCH} says mode Observe"
    return f"ConfigMap {SWITCH} says mode {str(mode)[:64]!r}, which is neither Automatic nor Observe"
