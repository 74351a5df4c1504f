"""Durations as people write them in manifests: `24h`, `1h30m`, `45s`."""

from __future__ import annotations

import re
from datetime import timedelta

from lazaretto.errors import InvalidInput

_FORM = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")


def parse_duration(text: str, *, field: str) -> timedelta:
    """The duration; raises `InvalidInput` naming `field` for anything but hours, minutes, seconds in that order."""
    found = _FORM.fullmatch(text)
    if not text or found is None:
        raise InvalidInput(field, text, "write hours, minutes and seconds in that order, such as 24h or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
