"""What fails as a whole: the API server, its store, the operator's rights, token and Lease, and what goes on meanwhile.

The plans of `plans.py` let one request go wrong. Here nothing is answered, or nothing can be stored, or nothing may be
written, before a containment, in the midst of it, while it stands, or in the midst of its release.
"""

from __future__ import annotations

from tests.e2e.shapes import BAD, MODEL
from tests.faults.faults import ALWAYS, Matches, Refused
from tests.faults.plans import writes_to

DOWN = {
    f"all requests answered {status} for {seconds} s": (status, seconds)
    for seconds in (1, 30)
    for status in (502, 503, 504)
}
"""Status of all answers, and seconds."""
SLOWED = "429, Retry-After 5 s, on the containment's writes"
MUTED = "429, Retry-After 5 s, on every status"
WATCHES_CUT = "every watch cut each 100 ms for 20 s"
RESTARTED = "API server killed, and back after 2 s"
ROLLED = "two API servers, killed one after the other"
FROZEN = "etcd suspended for 10 s"
FULL = "etcd out of space for 20 s"
RIGHTS = "rights in the namespace taken, and given back after 20 s"
TOKEN = "token invalid, and replaced after 10 s"
FLAPPING = "alert fires and resolves 20 times"
DELETED = "namespace of another contained model deleted"
TERMINATED = "operator and receiver ended in a storm of 200 alerts (SIGTERM)"
STORMED = "operator killed three times in a storm of 200 alerts"
BOTH_LEAD = "two operators that both lead"
LATE_LEADER = "leader suspended for 60 s, while another one leads"
MISDATED = "leader killed whose clock is an hour off, of two operators"
OUTAGES = (
    *DOWN,
    *(SLOWED, MUTED, WATCHES_CUT, RESTARTED, ROLLED, FROZEN, FULL, RIGHTS, TOKEN),
    *(FLAPPING, DELETED, TERMINATED, STORMED),
    *(BOTH_LEAD, LATE_LEADER, MISDATED),
)
"""All of them, as the table orders them."""

_TARGETS = (f"/deployments/{BAD}/scale", f"/httproutes/{MODEL}", f"/horizontalpodautoscalers/{BAD}")


def targets_of(namespace: str) -> Matches:
    """Whether a request writes what is contained, in the namespace."""
    return lambda method, path: method == "PATCH" and f"/namespaces/{namespace}/" in path and path.endswith(_TARGETS)


def journal_of(namespace: str) -> Matches:
    """Whether a request is the first write of a containment in the namespace."""
    return lambda method, path: method == "POST" and path.endswith(f"/namespaces/{namespace}/containments")


def down(status: int) -> Refused:
    """Nothing is answered but this, as by a load balancer with nobody behind it."""
    return Refused(lambda method, path: True, status=status, reason="made up", times=ALWAYS)


def muted(namespace: str) -> Refused:
    """No status is written in the namespace."""
    writes = writes_to(namespace)
    return Refused(
        lambda method, path: writes(method, path) and path.endswith("/status"),
        status=429,
        reason="TooManyRequests",
        retry_after=5,
        times=ALWAYS,
    )


class Slowed(Refused):
    """Each write of a containment is put off once: its journal, and what it writes then."""

    def __init__(self, namespace: str) -> None:
        """See the class."""
        journal, targets = journal_of(namespace), targets_of(namespace)
        self._met: set[str] = set()
        super().__init__(
            lambda method, path: journal(method, path) or targets(method, path),
            status=429,
            reason="TooManyRequests",
            retry_after=5,
            times=1 + len(_TARGETS),
        )

    def befalls(self, method: str, path: str) -> bool:
        """See `Fault.befalls`."""
        with self._lock:
            if path in self._met or not self._matches(method, path):
                return False
            self._met.add(path)
        return super().befalls(method, path)
