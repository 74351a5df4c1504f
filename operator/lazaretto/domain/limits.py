"""Whether one more model may be held without asking a person. Pure."""

from __future__ import annotations

from collections.abc import Collection

from lazaretto.api.responsepolicy import Limits


def tripped(limits: Limits, *, model: str, held: Collection[str]) -> str:
    """Which limit keeps `model` from being held, with its figures and the remedy; empty if none does.

    `held` are the models of the namespace that are held already, by whatever policy or person. A
    model among them is never new: no limit keeps a further incident from holding more of it.
    """
    most = limits.concurrent_models
    if most is None or model in held or len(held) < most:
        return ""
    return (
        f"limit concurrentModels: {len(held)} of {most} models are held; "
        "needs one ApproveContainment decision, or the release of another model"
    )
