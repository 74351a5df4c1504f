"""Kopf's settings, each for its reason, and the handlers: one bell a kind, and nothing that writes or waits."""

from __future__ import annotations

import asyncio
import copy
import ssl
from typing import Any, cast

import kopf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazaretto.api import KINDS, Resource
from lazaretto.engine.engine import Engine
from lazaretto.kopf_app import operator
from lazaretto.kopf_app.pulse import Pulse
from lazaretto.kube.api_server import ApiServer
from tests.unit.api.full_objects import full_object
from tests.unit.kopf_app.stand_ins import Account, Recorder
from tests.unit.kube.scripted import Scripted

TABLE = [
    ("networking.request_timeout", 10.0, "a hung list must not hold up an object for five minutes"),
    ("networking.connect_timeout", 2.0, "nobody answers at a dead endpoint, however long one waits"),
    ("networking.enforce_retry_after", False, "Retry-After is the least wait anyway, and must not become the only one"),
    ("watching.server_timeout", 6, "a stream that does not end is dead; the API server takes whole seconds only"),
    ("watching.client_timeout", 270.0, "more than the server's, which ends streams in an orderly way"),
    ("watching.inactivity_timeout", 70.0, "bookmarks come each minute: below 62 s healthy streams would flap"),
    ("watching.reconnect_backoff", 0.1, "nothing is seen between two streams"),
    ("watching.chunk_size", 100, "ten thousand incidents must not be in memory at once as one answer"),
    ("watching.initial_streaming", False, "not every supported API server can send initial events"),
    ("queueing.worker_limit", None, "a limit would queue a critical incident behind noise"),
    ("queueing.idle_timeout", 0.2, "a worker keeps the last event of its object for so long, and there are thousands"),
    ("queueing.error_delays", (0.2, 0.5, 1.0, 2.0, 5.0), "the default pauses an object for up to ten minutes"),
    ("queueing.exit_timeout", 5.0, "what is under way at SIGTERM may end"),
    ("execution.default_backoff", 1.0, "a defect costs a second, not a minute"),
    ("persistence.consistency_timeout", 0.0, "Kopf writes nothing, so there is no echo of its own to wait for"),
    ("posting.enabled", False, "Events are ours, and limited"),
    ("posting.loggers", False, "a log line is not an Event"),
    ("peering.standalone", True, "somebody's KopfPeering object in the cluster would pause us"),
    ("scanning.disabled", True, "no rights on CRDs and namespaces, and no pause while they change"),
    ("process.ultimate_exiting_timeout", 30.0, "below the pod's grace period, else it is killed half-way"),
]


@pytest.mark.parametrize(("name", "value"), [row[:2] for row in TABLE], ids=[f"{row[0]}: {row[2]}" for row in TABLE])
def test_a_setting_has_its_reason(name: str, value: object) -> None:
    section, _, setting = name.partition(".")
    found = getattr(getattr(operator.settings(), section), setting)
    assert (found, type(found)) == (value, type(value))


def test_a_lost_api_server_is_asked_again_within_half_a_second_for_a_quarter_of_an_hour() -> None:
    """Kopf's default waits up to 21 s and ends the process after 54 s. Each loss starts at the front: no iterator."""
    backoffs = operator.settings().networking.error_backoffs
    assert isinstance(backoffs, list)
    assert backoffs[0] <= 0.1
    assert max(backoffs) <= 0.5
    assert sum(backoffs) >= 900


def registry(engine: object = None, credentials: Account | None = None) -> Any:
    account = credentials or Account("https://api:443")
    return operator.registry(cast(Engine, engine or Recorder()), account, pulse=Pulse(), stop=asyncio.Event())


def bell_of(kind: type[Resource], engine: object) -> Any:
    [handler] = [h for h in registry(engine)._watching.get_all_handlers() if h.selector.any_name == kind.facts.plural]
    return handler.fn


def activity(name: str, engine: object, credentials: Account | None = None) -> Any:
    handlers = registry(engine, credentials)._activities.get_all_handlers()
    [handler] = [h for h in handlers if h.activity.value == name]
    return handler.fn


def test_each_of_our_kinds_has_one_bell_that_hears_everything() -> None:
    handlers = registry()._watching.get_all_handlers()
    heard = sorted((h.selector.group, h.selector.version, h.selector.any_name) for h in handlers)
    assert heard == sorted(("lazaretto.dev", "v1alpha1", kind.facts.plural) for kind in KINDS)
    filters = [(h.labels, h.annotations, h.when, h.field, h.value) for h in handlers]
    assert filters == [(None, None, None, None, None)] * len(KINDS)
    assert len({h.id for h in handlers}) == len(KINDS)


@pytest.mark.parametrize("kind", ["_changing", "_spawning", "_indexing", "_webhooks"])
def test_nothing_else_is_handled(kind: str) -> None:
    """Changes would bring annotations and finalizers, daemons and timers as well, indices memory, webhooks a server."""
    assert list(getattr(registry(), kind).get_all_handlers()) == []


def test_kopf_is_given_a_login_a_start_an_end_and_a_probe_and_no_more() -> None:
    handlers = registry()._activities.get_all_handlers()
    assert sorted(h.activity.value for h in handlers) == ["authentication", "cleanup", "probe", "startup"]


def test_the_registry_is_none_that_others_could_add_to() -> None:
    assert type(registry()) is kopf.OperatorRegistry
    assert registry() is not kopf.get_default_registry()
    assert list(cast(Any, kopf.get_default_registry())._watching.get_all_handlers()) == []


async def test_kopf_logs_in_with_our_credentials_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    secured: list[kopf.ConnectionInfo] = []
    context = ssl.create_default_context()

    def secure(info: kopf.ConnectionInfo) -> ssl.SSLContext:
        secured.append(info)
        return context

    monkeypatch.setattr(kopf.ConnectionInfo, "as_ssl_context", secure)
    account = Account("https://api:443")
    account.ca_file, account.cert_file, account.key_file = "/ca.crt", "/alice.crt", "/alice.key"
    monkeypatch.setattr(operator, "LOGIN_AGAIN_SECONDS", 0.0)
    login = activity("authentication", Recorder(), account)
    sessions = [await login(logger=None), await login(logger=None)]
    for number, each in enumerate(sessions, start=1):
        assert each.server == account.server
        assert each.aiohttp_session.headers["Authorization"] == f"Bearer token-{number}"
        await each.aiohttp_session.close()
    assert account.renewed == account.asked == 2
    first, _ = secured
    assert first.ca_path == account.ca_file
    assert (first.certificate_path, first.private_key_path) == (account.cert_file, account.key_file)


async def test_kopf_that_logs_in_again_and_again_gets_one_token_a_second() -> None:
    """It does so without a pause as long as a token is refused."""
    login = activity("authentication", Recorder(), Account("http://api:80"))
    begun = asyncio.get_running_loop().time()
    for _ in range(2):
        await (await login(logger=None)).aiohttp_session.close()
    assert asyncio.get_running_loop().time() - begun >= operator.LOGIN_AGAIN_SECONDS


async def test_the_engine_starts_and_stops_with_kopf() -> None:
    recorder = Recorder()
    await activity("startup", recorder)(logger=None)
    await activity("cleanup", recorder)(logger=None)
    assert recorder.calls == ["start", "stop"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.facts.kind)
@pytest.mark.parametrize(
    ("change", "deleted"), [(None, False), ("ADDED", False), ("MODIFIED", False), ("DELETED", True)]
)
async def test_a_bell_hands_on_the_object_and_whether_it_is_gone(
    kind: type[Resource], change: str | None, deleted: bool
) -> None:
    recorder, body = Recorder(), full_object(kind)
    assert await bell_of(kind, recorder)(event={"type": change, "object": body}, patch=None, logger=None) is None
    assert recorder.observed == [(kind, body, deleted)]


FULL = {kind: full_object(kind) for kind in KINDS}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
META = st.fixed_dictionaries(
    {"name": st.text(max_size=6), "namespace": st.text(max_size=6), "uid": st.text(max_size=3)},
    optional=dict.fromkeys(("generation", "resourceVersion", "labels", "annotations", "creationTimestamp"), ANY_JSON),
)


@st.composite
def objects(draw: st.DrawFn) -> tuple[type[Resource], dict[str, Any]]:
    """A stored object of which one part, at any depth, is something else."""
    kind = draw(st.sampled_from(KINDS))
    body = copy.deepcopy(FULL[kind])
    body["metadata"] = draw(META)
    at: Any = body
    key: Any = draw(st.sampled_from([name for name in ("spec", "status") if name in body]))
    for _ in range(draw(st.integers(min_value=0, max_value=4))):
        if not isinstance(at[key], dict | list) or not at[key]:
            break
        at = at[key]
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
    at[key] = draw(ANY_JSON)
    return kind, body


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(objects(), st.sampled_from([None, "ADDED", "MODIFIED", "DELETED"])), max_size=4))
async def test_a_bell_never_raises(events: list[tuple[tuple[type[Resource], dict[str, Any]], str | None]]) -> None:
    """Kopf would log it and go on, and the event would be lost."""
    api = ApiServer(Scripted())
    engine = Engine(api, api)
    for (kind, body), change in events:
        await bell_of(kind, engine)(event={"type": change, "object": body}, patch=None, logger=None)
