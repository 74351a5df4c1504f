"""What becomes of alerts: stories told by POSTs, looked at in the API server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lazaretto.kube.request import Request
from lazaretto.kube.transport import Response
from tests.unit.receiver.conftest import Running, Start, add_model, incident_path
from tests.unit.receiver.fake_api import FakeApi, failure
from tests.unit.receiver.payloads import T2, T3, alert, webhook


async def test_first_alert_creates_an_incident(one: Running) -> None:
    status, answer = await one.post(webhook(alert(ai_severity="critical", ai_revision="chat-7f9", team="red")))
    assert (status, answer) == (200, {"created": ["shop/chat-1"], "extended": []})
    [incident] = one.incidents()
    assert incident["metadata"]["labels"] == {"lazaretto.dev/model": "chat", "lazaretto.dev/category": "DataLeakage"}
    spec = incident["spec"]
    assert spec["source"] == {"type": "Alert", "sender": "alertmanager"}
    assert spec["target"] == {"model": "chat", "revision": "chat-7f9"}
    [entry] = spec["alerts"]
    assert entry["startsAt"] == "2026-01-02T03:04:05.678000Z"
    assert (entry["name"], entry["summary"], entry["severityHint"]) == ("Leak", "it leaks", "SEV1")
    assert entry["labels"]["team"] == "red"


@pytest.mark.parametrize("times", [2, 20])
async def test_repeats_write_nothing(one: Running, times: int) -> None:
    for _ in range(times):
        status, _ = await one.post(webhook(alert()))
        assert status == 200
    assert len(one.api.writes) == 1


async def test_one_write_per_post_and_model_however_many_alerts(one: Running) -> None:
    await one.post(webhook(*(alert(f"A{n}") for n in range(10))))
    await one.post(webhook(*(alert(f"B{n}") for n in range(10)), alert("A1")))
    assert len(one.api.writes) == 2
    [incident] = one.incidents()
    assert [e["name"] for e in incident["spec"]["alerts"]] == [f"{p}{n}" for p in "AB" for n in range(10)]


async def test_categories_are_separate_incidents_with_one_sequence_of_names(one: Running) -> None:
    _, answer = await one.post(webhook(alert(), alert(ai_category="Jailbreak"), alert(ai_category="no such")))
    assert len(answer["created"]) == 3
    found = {i["metadata"]["name"]: i["spec"]["category"] for i in one.incidents()}
    assert sorted(found) == ["chat-1", "chat-2", "chat-3"]
    assert set(found.values()) == {"DataLeakage", "Jailbreak", "Unknown"}


async def test_flapping_counts_on_one_entry(one: Running) -> None:
    for payload in (
        alert(),
        alert(ends=T2),
        alert(starts=T2),
        alert(starts=T2),
        alert(starts=T2, ends=T3),
        alert(starts=T3),
    ):
        assert (await one.post(webhook(payload)))[0] == 200
    [incident] = one.incidents()
    [entry] = incident["spec"]["alerts"]
    assert entry["startsAt"].startswith("2026-01-02T03")
    assert entry["lastStartsAt"].startswith("2026-01-02T05")
    assert entry["firings"] == 3
    assert "resolvedAt" not in entry


async def test_resolved_is_noted_once_and_releases_nothing(one: Running) -> None:
    await one.post(webhook(alert()))
    for _ in range(3):
        await one.post(webhook(alert(ends=T2)))
    [incident] = one.incidents()
    assert incident["spec"]["alerts"][0]["resolvedAt"] == "2026-01-02T04:04:05.678000Z"
    assert len(one.api.writes) == 2
    assert "status" not in incident


async def test_resolved_that_was_never_seen_is_nothing(one: Running) -> None:
    assert (await one.post(webhook(alert(ends=T2))))[0] == 200
    assert one.incidents() == []


def _release(body: dict[str, Any]) -> None:
    body["status"] = {"times": {"releasedAt": "2026-01-02T08:00:00Z"}, "state": "Released"}


async def test_replay_after_release_creates_nothing_and_news_does(one: Running) -> None:
    await one.post(webhook(alert()))
    one.api.change(incident_path("chat-1"), _release)
    await asyncio.sleep(0.05)
    assert (await one.post(webhook(alert())))[1] == {"created": [], "extended": []}
    assert (await one.post(webhook(alert(ends=T2))))[1] == {"created": [], "extended": ["shop/chat-1"]}
    assert (await one.post(webhook(alert(starts=T3))))[1] == {"created": ["shop/chat-2"], "extended": []}


async def test_full_incident_says_so_once(one: Running) -> None:
    await one.post(webhook(*(alert(f"A{n:02}") for n in range(64))))
    await one.post(webhook(alert("late")))
    await one.post(webhook(alert("later")))
    [incident] = one.incidents()
    assert incident["spec"]["alertsTruncated"] is True
    assert len(incident["spec"]["alerts"]) == 64
    assert len(one.api.writes) == 2


async def test_unmatched_is_recorded_without_target_in_our_own_namespace(one: Running) -> None:
    await one.post(
        webhook(
            alert(ai_model="nobody"), alert("Other", namespace="nowhere"), alert(ai_category="Jailbreak", ai_model="")
        )
    )
    found = {i["metadata"]["name"]: i for i in one.incidents()}
    assert sorted(found) == ["unmatched-1", "unmatched-2"]
    assert {i["metadata"]["namespace"] for i in found.values()} == {"lazaretto-system"}
    assert all("target" not in i["spec"] for i in found.values())
    assert all("lazaretto.dev/model" not in i["metadata"]["labels"] for i in found.values())


async def test_a_tenant_cannot_reach_another_namespace(one: Running) -> None:
    """The rule's own `namespace` was overwritten by the enforced label; the rest of the alert says what it likes."""
    add_model(one.api, "evil", "mine")
    await one.post(
        webhook(alert(namespace="evil", target_namespace="shop", action="delete", target="chat", approved="true"))
    )
    [incident] = one.incidents()
    assert incident["metadata"]["namespace"] == "lazaretto-system"
    assert "target" not in incident["spec"]


async def test_namespace_label_is_configurable(start: Start) -> None:
    one = await start(namespace_label="tenant")
    await one.post(webhook(alert(namespace="evil", tenant="shop")))
    assert [i["metadata"]["namespace"] for i in one.incidents()] == ["shop"]


async def test_models_match_by_their_own_labels(start: Start) -> None:
    api = FakeApi()
    add_model(api, "shop", "chat")
    add_model(api, "shop", "by-label", alerts={"matchLabels": {"team": "red", "stack": "llm"}})
    add_model(api, "shop", "other", alerts={"matchLabels": {"team": "blue", "stack": "llm"}})
    one = await start(api=api)
    await one.post(webhook(alert(team="red", stack="llm")))
    assert sorted(i["metadata"]["name"] for i in one.incidents()) == ["by-label-1", "chat-1"]


async def test_revisions_that_disagree_are_left_out(one: Running) -> None:
    await one.post(webhook(alert("A", ai_revision="r1"), alert("B", ai_revision="r2")))
    await one.post(webhook(alert("A", ai_category="Jailbreak", ai_revision="../../etc")))
    assert [i["spec"]["target"] for i in one.incidents()] == [{"model": "chat"}, {"model": "chat"}]


async def test_drill_stays_a_drill_until_a_real_alert_comes(one: Running) -> None:
    await one.post(webhook(alert(ai_drill="true")))
    assert one.incidents()[0]["spec"]["drill"] is True
    await one.post(webhook(alert("Real")))
    assert one.incidents()[0]["spec"]["drill"] is False


async def test_posted_by_prometheus_itself(one: Running) -> None:
    first = {k: alert()[k] for k in ("labels", "annotations", "startsAt", "generatorURL")}
    assert (await one.post([{**first, "endsAt": "2999-01-01T00:00:00Z"}], path="/api/v2/alerts"))[0] == 200
    await one.post(webhook(alert()))
    await one.post([{**first, "endsAt": T2}], path="/api/v2/alerts")
    [incident] = one.incidents()
    [entry] = incident["spec"]["alerts"]
    assert entry["resolvedAt"] == "2026-01-02T04:04:05.678000Z"
    assert len(one.api.writes) == 2


async def test_model_that_appears_later_is_matched(one: Running) -> None:
    add_model(one.api, "shop", "new")
    await asyncio.sleep(0.05)
    await one.post(webhook(alert(ai_model="new")))
    assert [i["metadata"]["name"] for i in one.incidents()] == ["new-1"]


async def test_name_taken_by_a_stranger(one: Running) -> None:
    """An incident made by hand has neither our labels nor our model, but the name is gone."""
    one.api.objects[incident_path("chat-1")] = {
        "metadata": {"name": "chat-1", "namespace": "shop", "resourceVersion": "1"},
        "spec": {"category": "Jailbreak"},
    }
    status, answer = await one.post(webhook(alert()))
    assert (status, answer["created"]) == (200, ["shop/chat-2"])


async def test_incident_made_by_a_person_takes_the_alerts(one: Running) -> None:
    spec = {"source": {"type": "Manual"}, "target": {"model": "chat"}, "category": "DataLeakage"}
    one.api.add(incident_path("by-hand"), {"metadata": {"name": "by-hand", "namespace": "shop"}, "spec": spec})
    await asyncio.sleep(0.05)
    assert (await one.post(webhook(alert(), alert("B"))))[1] == {"created": [], "extended": ["shop/by-hand"]}
    assert len(one.incidents()[0]["spec"]["alerts"]) == 2


async def test_lost_answer_to_a_create_leaves_one_incident(one: Running) -> None:
    """The incident was stored, the answer was not delivered; the retry meets its own work."""
    lost: list[Response] = []

    def lose(request: Request) -> Response | None:
        if request.method == "POST" and not lost:
            lost.append(one.api._post(request))
            return failure(504, "Timeout")
        return None

    one.api.hook = lose
    status, _ = await one.post(webhook(alert()))
    assert status == 200
    assert [i["metadata"]["name"] for i in one.incidents()] == ["chat-1"]


async def test_deleted_incident_is_made_anew(one: Running) -> None:
    await one.post(webhook(alert()))
    one.api.objects.clear()  # silently: the watch has not told
    status, answer = await one.post(webhook(alert("B")))
    assert (status, answer["created"]) == (200, ["shop/chat-1"])


async def test_two_receivers_make_one_incident(start: Start) -> None:
    api = FakeApi()
    add_model(api, "shop", "chat")
    api.delay = 0.002
    pair = [await start(api=api), await start(api=api)]
    posts = [pair[n % 2].post(webhook(alert(f"A{n // 2}"))) for n in range(32)]
    assert {status for status, _ in await asyncio.gather(*posts)} == {200}
    [incident] = pair[0].incidents()
    assert {e["name"] for e in incident["spec"]["alerts"]} == {f"A{n}" for n in range(16)}


@pytest.mark.parametrize(
    "answer", [failure(503, "ServiceUnavailable"), failure(403, "Forbidden"), failure(422, "Invalid")]
)
async def test_what_cannot_be_stored_is_503_and_the_rest_is_stored(start: Start, answer: Response) -> None:
    api = FakeApi()
    add_model(api, "shop", "chat")
    add_model(api, "bank", "chat")
    one = await start(api=api)
    api.hook = lambda request: answer if request.method == "POST" and "/bank/" in request.path else None
    both = webhook(alert(), alert(namespace="bank"))
    status, told = await one.post(both)
    assert status == 503
    assert "error" in told
    assert [i["metadata"]["namespace"] for i in one.incidents()] == ["shop"]
    api.hook = None
    assert (await one.post(both))[1] == {"created": ["bank/chat-1"], "extended": []}


async def test_own_writes_are_known_without_the_watch(one: Running) -> None:
    one.api.mute = True
    for name in ("A", "B", "B", "C"):
        assert (await one.post(webhook(alert(name))))[0] == 200
    assert [request.method for request in one.api.writes] == ["POST", "PATCH", "PATCH"]


async def test_receivers_that_hear_nothing_of_each_other_still_agree(start: Start) -> None:
    """Watches are silent: what the other wrote shows only in refused writes and what is read after them."""
    api = FakeApi()
    add_model(api, "shop", "chat")
    pair = [await start(api=api), await start(api=api)]
    api.mute = True
    for number in range(6):
        status, _ = await pair[number % 2].post(webhook(alert(f"A{number}")))
        assert status == 200
    [incident] = pair[0].incidents()
    assert [e["name"] for e in incident["spec"]["alerts"]] == [f"A{n}" for n in range(6)]


async def test_not_synced_is_503_with_retry_after(start: Start) -> None:
    api = FakeApi()
    api.hook = lambda request: failure(500, "InternalError", headers={"Retry-After": "60"})
    one = await start(api=api, ready=False)
    body = json.dumps(webhook(alert())).encode()
    sent = {"Content-Type": "application/json", "Authorization": "Bearer correct-horse-battery"}
    async with one.session.post(one.url + "/api/v1/alertmanager", data=body, headers=sent) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0


async def test_a_copy_that_fell_silent_is_not_believed(start: Start) -> None:
    one = await start(silence_seconds=0.3)
    assert (await one.post(webhook()))[0] == 200
    await asyncio.sleep(0.4)
    assert (await one.post(webhook()))[0] == 503
    for plural in ("aiincidents", "protectedmodels"):
        one.api.tell(plural, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "5000"}}})
    await asyncio.sleep(0.05)
    assert (await one.post(webhook()))[0] == 200


async def test_watch_survives_whatever_the_server_says(one: Running) -> None:
    one.api.tell("protectedmodels", {"type": "SURPRISE", "object": {}})
    one.api.tell(
        "protectedmodels", {"type": "ADDED", "object": {"metadata": {"name": "broken", "resourceVersion": "900"}}}
    )
    one.api.tell("protectedmodels", {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
    await asyncio.sleep(0.3)
    add_model(one.api, "shop", "new")
    await asyncio.sleep(0.3)
    await one.post(webhook(alert(ai_model="new")))
    assert [i["metadata"]["name"] for i in one.incidents()] == ["new-1"]
