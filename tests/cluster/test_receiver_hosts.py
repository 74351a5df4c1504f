"""Host headers that are meant to lead somewhere, for the running receiver: it reads none of them."""

from __future__ import annotations

import pytest

from tests.cluster.attacker import CLOSING, Attacker, bounded, request, statuses
from tests.cluster.receiver import ReceiverProcess

pytestmark = pytest.mark.cluster

EMPTY = b'{"version": "4", "alerts": []}'
HOSTS = {
    "of somebody else": ("Host: evil.example",),
    "of the cloud's own service": ("Host: 169.254.169.254",),
    "none at all": (),
    "empty": ("Host: ",),
    "two": ("Host: receiver", "Host: evil.example"),
    "with a path": ("Host: evil.example/api/v2/alerts",),
    "with credentials": ("Host: user:secret@evil.example",),
    "with a script": ("Host: <script>alert(1)</script>",),
    "in other words": ("Host: receiver", "X-Forwarded-Host: evil.example", "X-Original-URL: /metrics"),
}


@pytest.mark.parametrize("lines", HOSTS.values(), ids=HOSTS)
def test_whatever_host_a_request_names_it_is_answered_alike_and_leads_nowhere(
    besieged: tuple[ReceiverProcess, Attacker], lines: tuple[str, ...]
) -> None:
    """An alert is taken or refused; what was named is not followed, and stands in no answer."""
    receiver, attacker = besieged
    data = request(EMPTY, CLOSING).replace(b"Host: receiver\r\n", "".join(f"{line}\r\n" for line in lines).encode(), 1)
    with bounded(receiver):
        answer = attacker.exchange(data)
    assert statuses(answer) in ([200], [400])
    for word in (b"evil", b"169.254", b"script", b"secret", b"Location", b"Set-Cookie"):
        assert word not in answer
