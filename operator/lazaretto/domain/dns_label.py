"""Names that may become a part of something else, such as a query: labels of DNS (RFC 1123), and nothing more."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def is_dns_label(name: str) -> bool:
    """Whether it is one."""
    return _LABEL.fullmatch(name) is not None
