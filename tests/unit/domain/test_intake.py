"""The rules of intake, as tables and as properties over any order and repetition of alerts."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api.aiincident import AIIncidentSpec
from lazaretto.domain.alert import Alert, category_of, drill_of, revision_of, severity_of
from lazaretto.domain.intake import Append, Create, Group, KnownEntry, KnownIncident, decide
from lazaretto.receiver.store import read_incident

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
T = [datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in range(12)]
GROUP = Group("shop", "chat", "DataLeakage")
A, B, C = "a" * 16, "b" * 16, "c" * 16


def firing(fingerprint: str = A, start: datetime | None = T[1], **labels: str) -> Alert:
    return Alert(fingerprint, {"alertname": fingerprint[:1], **labels}, "", True, start)


def resolved(fingerprint: str = A, start: datetime | None = T[1], end: datetime = T[5]) -> Alert:
    return Alert(fingerprint, {"alertname": fingerprint[:1]}, "", False, start, end)


def known(*entries: KnownEntry, name: str = "chat-1", is_open: bool = True, **changed: Any) -> KnownIncident:
    incident = KnownIncident("shop", name, "7", "chat", "DataLeakage", is_open, entries=entries)
    return replace(incident, ended_at=None if is_open else T[8], **changed)


def decided(alerts: Sequence[Alert], *incidents: KnownIncident, above: int = 0) -> list[Any]:
    """Writes as short values: created names with fingerprints, or patched names with operations on paths."""
    writes = decide(alerts, group=GROUP, incidents=incidents, sender="am", now=NOW, above=above)
    found: list[Any] = []
    for write in writes:
        if isinstance(write, Create):
            found.append((write.name, [entry.fingerprint for entry in write.spec.alerts]))
        else:
            guard, *operations = write.operations
            assert guard == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
            found.append((write.name, [(o["op"], o["path"].removeprefix("/spec/")) for o in operations]))
    return found


SEEN = KnownEntry(A, T[1])
ENDED = KnownEntry(A, T[1], resolved_at=T[5])
FLAPPED = KnownEntry(A, T[1], last_starts_at=T[4], firings=2)

RESOLVE = ("add", "alerts/0/resolvedAt")
UNRESOLVE = ("remove", "alerts/0/resolvedAt")
REFIRE = (("add", "alerts/0/lastStartsAt"), ("add", "alerts/0/firings"))
ADD = ("add", "alerts/-")
OVER: dict[str, Any] = {"is_open": False, "truncated": True}
OTHER = KnownEntry(B, T[1])

TABLE = [
    ("first alert", [firing()], [], [("chat-1", [A])]),
    ("several at once", [firing(A), firing(B)], [], [("chat-1", [A, B])]),
    ("number after the highest", [firing()], [known(name="chat-9", is_open=False)], [("chat-10", [A])]),
    ("strangers' names count for nothing", [firing()], [known(name="chat-x", is_open=False)], [("chat-1", [A])]),
    ("repeat", [firing()], [known(SEEN)], []),
    ("repeat after the end", [firing()], [known(SEEN, is_open=False)], []),
    ("older than recorded", [firing(start=T[0])], [known(SEEN)], []),
    ("older than recorded, after the end", [firing(start=T[0])], [known(SEEN, is_open=False)], []),
    ("the first firing of a flap, again", [firing(start=T[1])], [known(FLAPPED, is_open=False)], []),
    ("one between the firings", [firing(start=T[2])], [known(FLAPPED)], []),
    ("new one", [firing(B)], [known(SEEN)], [("chat-1", [ADD])]),
    ("new one for an empty list", [firing(B)], [known()], [("chat-1", [("add", "alerts")])]),
    ("new one after the end", [firing(B)], [known(SEEN, is_open=False)], [("chat-2", [B])]),
    ("fires anew", [firing(start=T[3])], [known(SEEN)], [("chat-1", [*REFIRE])]),
    (
        "fires anew after resolve",
        [firing(start=T[6])],
        [known(ENDED)],
        [("chat-1", [*REFIRE, UNRESOLVE])],
    ),
    ("fires anew after the end", [firing(start=T[9])], [known(SEEN, is_open=False)], [("chat-2", [A])]),
    ("resolves", [resolved()], [known(SEEN)], [("chat-1", [RESOLVE])]),
    ("resolves, second firing", [resolved(start=T[4])], [known(FLAPPED)], [("chat-1", [RESOLVE])]),
    ("first firing's resolve, late", [resolved(start=T[1])], [known(FLAPPED)], []),
    ("resolves again", [resolved(end=T[7])], [known(ENDED)], []),
    ("resolves after the end", [resolved()], [known(SEEN, is_open=False)], [("chat-1", [RESOLVE])]),
    ("resolved, never seen", [resolved(B)], [known(SEEN)], []),
    ("resolved, nothing there", [resolved()], [], []),
    ("fired and resolved at once", [resolved(), firing()], [], [("chat-1", [A])]),
    ("one write for much", [firing(B), resolved(), firing(C)], [known(SEEN)], [("chat-1", [RESOLVE, ADD, ADD])]),
    ("the same twice in one request", [firing(B), firing(B)], [known(SEEN)], [("chat-1", [ADD])]),
    ("other category is no match", [firing()], [known(SEEN, category="Jailbreak")], [("chat-2", [A])]),
    ("without a beginning, first", [firing(start=None)], [], [("chat-1", [A])]),
    ("without a beginning, again", [firing(start=None)], [known(SEEN)], []),
    ("without a beginning, after resolve", [firing(start=None)], [known(ENDED)], [("chat-1", [*REFIRE, UNRESOLVE])]),
    ("without a beginning, resolves", [resolved(start=None)], [known(SEEN)], [("chat-1", [RESOLVE])]),
    ("full, unknown one, before the end", [firing(B)], [known(SEEN, **OVER)], []),
    ("full, unknown one, after the end", [firing(B, T[9])], [known(SEEN, **OVER)], [("chat-2", [B])]),
    (
        "second open incident has the entry",
        [firing(B, T[3])],
        [known(SEEN), known(OTHER, name="chat-2")],
        [("chat-2", [*REFIRE])],
    ),
]


@pytest.mark.parametrize(("alerts", "incidents", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_table(alerts: list[Alert], incidents: list[KnownIncident], expected: list[Any]) -> None:
    assert decided(alerts, *incidents) == expected


def test_full_list_is_said_once() -> None:
    entries = [KnownEntry(f"{n:016x}", T[1]) for n in range(64)]
    assert decided([firing(A), firing(B)], known(*entries)) == [("chat-1", [("add", "alertsTruncated")])]
    assert decided([firing(C)], known(*entries, truncated=True)) == []


def test_more_than_a_full_list_at_once() -> None:
    [write] = decide([firing(f"{n:016x}") for n in range(70)], group=GROUP, incidents=[], sender="am", now=NOW)
    assert isinstance(write, Create)
    assert len(write.spec.alerts) == 64
    assert write.spec.alerts_truncated


@pytest.mark.parametrize("alerts", list(itertools.permutations([firing(), resolved(end=T[2]), firing(start=T[3])])))
def test_one_request_is_read_in_the_order_of_events(alerts: tuple[Alert, ...]) -> None:
    [write] = decide(alerts, group=GROUP, incidents=[], sender="am", now=NOW)
    assert isinstance(write, Create)
    [entry] = write.spec.alerts
    assert (entry.starts_at, entry.last_starts_at, entry.firings, entry.resolved_at) == (T[1], T[3], 2, None)


@pytest.mark.parametrize("alerts", list(itertools.permutations([firing(), resolved(end=T[2])])))
def test_what_fired_and_resolved_in_one_request_is_both(alerts: tuple[Alert, ...]) -> None:
    [write] = decide(alerts, group=GROUP, incidents=[], sender="am", now=NOW)
    assert isinstance(write, Create)
    assert write.spec.alerts[0].resolved_at == T[2]


def test_taken_numbers_are_skipped() -> None:
    assert decided([firing()], above=4) == [("chat-5", [A])]


def test_future_beginning_does_not_hide_later_alerts() -> None:
    """Somebody with a wrong clock, or ill will, sends year 2999; the real alert afterwards still counts."""
    future = datetime(2999, 1, 1, tzinfo=UTC)
    ended = known(KnownEntry(A, future), is_open=False)
    assert decided([firing(start=future)], ended) == []
    assert decided([firing(start=T[9])], ended) == [("chat-2", [A])]
    assert decided([firing(start=T[9])], known(KnownEntry(A, T[1], last_starts_at=future, firings=2))) == []


def test_a_resolve_that_ended_before_it_began_is_put_right() -> None:
    [write] = decide([resolved(start=T[1], end=T[0])], group=GROUP, incidents=[known(SEEN)], sender="am", now=NOW)
    assert isinstance(write, Append)
    assert write.operations[1]["value"] == "2026-01-02T01:00:00.000000Z"


@pytest.mark.parametrize(
    ("labels", "severity"),
    [
        *(("SEV1", "SEV1"), ("sev4", "SEV4"), ("critical", "SEV1"), ("High", "SEV2"), ("warning", "SEV3")),
        *(("info", "SEV4"), ("", None), ("SEV0", None), ("none", None), ("page; drop table", None)),
    ],
)
def test_severity_words(labels: str, severity: str | None) -> None:
    assert severity_of(firing(ai_severity=labels)) == severity


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "../a", "a b", "a\n", "a" * 254, "a..b", "é", "a_b"])
def test_names_that_cannot_be_are_no_revision(name: str) -> None:
    assert revision_of(firing(ai_revision=name)) is None


def test_words_of_the_contract() -> None:
    assert revision_of(firing(ai_revision="chat-7f9.v2")) == "chat-7f9.v2"
    assert category_of(firing(ai_category="Jailbreak")) == "Jailbreak"
    assert category_of(firing(ai_category="jailbreak")) == "Unknown"
    assert drill_of(firing(ai_drill="true"))
    assert not drill_of(firing(ai_drill="yes"))


# Properties: any order, any repetition, any split into requests.

FINGERPRINTS = [f"{n:016x}" for n in range(6)]
ALERTS = st.builds(
    lambda f, start, is_firing: (
        firing(f, T[start]) if is_firing else resolved(f, T[start], T[start] + timedelta(minutes=9))
    ),
    st.sampled_from(FINGERPRINTS),
    st.integers(1, 4),
    st.booleans(),
)
REQUESTS = st.lists(st.lists(ALERTS, max_size=5), max_size=8)


class World:
    """Stored incidents, changed by nothing but what `decide` says."""

    def __init__(self) -> None:
        self.bodies: dict[str, Any] = {}
        self.writes = 0

    def take(self, alerts: Sequence[Alert]) -> None:
        incidents = [read_incident(copy.deepcopy(body)) for body in self.bodies.values()]
        writes = decide(alerts, group=GROUP, incidents=incidents, sender="am", now=NOW)
        assert len({write.name for write in writes}) == len(writes)
        for write in writes:
            self.writes += 1
            if isinstance(write, Create):
                assert write.name not in self.bodies
                meta = {"namespace": "shop", "name": write.name, "resourceVersion": "7"}
                self.bodies[write.name] = {"metadata": meta, "spec": write.spec.dump()}
            else:
                self._patch(self.bodies[write.name]["spec"], write)

    def _patch(self, spec: Any, write: Append) -> None:
        for operation in write.operations[1:]:
            keys = operation["path"].removeprefix("/spec/").split("/")
            if keys == ["alerts", "-"]:
                spec["alerts"].append(operation["value"])
            elif len(keys) == 1:
                spec[keys[0]] = operation["value"]
            elif operation["op"] == "remove":
                del spec["alerts"][int(keys[1])][keys[2]]
            else:
                spec["alerts"][int(keys[1])][keys[2]] = operation["value"]
        AIIncidentSpec.model_validate(spec)

    def release(self) -> None:
        for body in self.bodies.values():
            body["status"] = {"times": {"releasedAt": NOW.isoformat()}}

    def entries(self) -> dict[str, Any]:
        [body] = self.bodies.values() or [{"spec": {"alerts": []}}]
        return {entry["fingerprint"]: entry for entry in body["spec"]["alerts"]}


def _after(requests: Sequence[Sequence[Alert]]) -> World:
    world = World()
    for alerts in requests:
        world.take(alerts)
    return world


@given(REQUESTS)
def test_one_incident_holds_every_fingerprint_that_fired(requests: list[list[Alert]]) -> None:
    world = _after(requests)
    fired = {alert.fingerprint for alerts in requests for alert in alerts if alert.firing}
    assert len(world.bodies) == (1 if fired else 0)
    assert set(world.entries()) == fired


@given(REQUESTS)
def test_repeating_everything_writes_nothing(requests: list[list[Alert]]) -> None:
    world = _after(requests)
    # What was said of an alert before it first fired was rightly ignored, and is news now; twice settles it.
    for alerts in requests:
        world.take(alerts)
    before = world.writes
    for alerts in requests:
        world.take(alerts)
    assert world.writes == before


@given(REQUESTS)
def test_replay_after_release_creates_nothing(requests: list[list[Alert]]) -> None:
    world = _after(requests)
    world.release()
    for alerts in requests:
        world.take([alert for alert in alerts if alert.firing and alert.fingerprint in FINGERPRINTS])
    assert len(world.bodies) <= 1


@given(st.lists(st.sampled_from(FINGERPRINTS), max_size=12), st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_repetition_of_steady_alerts_do_not_matter(names: list[str], random: Any, size: int) -> None:
    alerts = [firing(name) for name in names]
    mixed = alerts * 3
    random.shuffle(mixed)
    world = _after([mixed[n : n + size] for n in range(0, len(mixed), size)])
    assert world.entries() == _after([alerts]).entries()


@given(REQUESTS)
@settings(max_examples=50)
def test_entries_are_never_lost_nor_their_fixed_fields_changed(requests: list[list[Alert]]) -> None:
    world = World()
    before: dict[str, Any] = {}
    for alerts in requests:
        world.take(alerts)
        after = copy.deepcopy(world.entries())
        for name, entry in before.items():
            assert after[name]["startsAt"] == entry["startsAt"]
            assert after[name]["receivedAt"] == entry["receivedAt"]
            assert after[name]["firings"] >= entry["firings"]
        before = after


def test_every_order_of_a_flap_ends_open_with_both_moments_covered() -> None:
    alerts = [firing(A, T[1]), resolved(A, T[1], T[2]), firing(A, T[3])]
    for order in itertools.permutations(alerts):
        entry = _after([[alert] for alert in order]).entries()[A]
        assert max(entry["startsAt"], entry.get("lastStartsAt", "")).startswith("2026-01-02T03")
        assert "resolvedAt" not in entry
