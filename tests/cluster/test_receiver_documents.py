"""Documents that are meant to cost, to be read in two ways, or to drown the true alerts, for the running receiver."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.access import ClusterAccess
from tests.cluster.attacker import MIB, Attacker, bounded
from tests.cluster.control_plane import ControlPlane
from tests.cluster.receiver import POSTED_PATH, WEBHOOK_PATH, ReceiverProcess
from tests.cluster.receiver_stories import (
    SYSTEM,
    firing_alert,
    incidents_in,
    receiver_calls,
    webhook_payload,
)

pytestmark = pytest.mark.cluster

Besieged = tuple[ReceiverProcess, Attacker]
FULL = 4 * MIB
DOCUMENTS = {
    "deep lists": b"[" * FULL,
    "deep objects": b'{"a":' * (FULL // 5),
    "deep and closed": b"[" * (FULL // 2) + b"]" * (FULL // 2),
    "deep beside alerts": b'{"version": "4", "alerts": [], "groupLabels": ' + b"[" * 40 + b"]" * 40 + b"}",
    "NaN": b'{"version": "4", "alerts": [], "truncatedAlerts": NaN}',
    "Infinity": b'{"version": "4", "alerts": [], "truncatedAlerts": -Infinity}',
    "a number over all": b'{"version": "4", "alerts": [], "truncatedAlerts": 1e400}',
    "four million digits": b'{"version": "4", "alerts": [], "truncatedAlerts": ' + b"9" * (FULL - 80) + b"}",
    "digits behind the point": b'{"version": "4", "alerts": [], "truncatedAlerts": 0.' + b"9" * (FULL - 80) + b"}",
    "a key twice": b'{"version": "4", "alerts": [], "alerts": []}',
    "a key twice, escaped": b'{"version": "4", "alerts": [], "\\u0061lerts": []}',
    "half a million keys twice": b"{" + b",".join(b'"k%d":1' % (n % 170_000) for n in range(350_000)) + b"}",
    "a lone surrogate": b'{"version": "4", "alerts": [], "groupKey": "\\ud800"}',
    "surrogates as bytes": b'{"version": "4", "alerts": [], "groupKey": "\xed\xa0\x80"}',
    "no UTF-8": b'{"version": "4", "alerts": [], "groupKey": "\xff\xfe"}',
    "overlong UTF-8": b'{"version": "4", "alerts": [], "groupKey": "\xc0\xaf"}',
    "a byte order mark": b'\xef\xbb\xbf{"version": "4", "alerts": []}',
    "UTF-16": '{"version": "4", "alerts": []}'.encode("utf-16"),
    "something behind it": b'{"version": "4", "alerts": []} {"version": "4", "alerts": []}',
    "a comment": b'{"version": "4", /* */ "alerts": []}',
    "a million small lists": b"[" + b"[]," * (FULL // 3 - 2) + b"[]]",
    "too many alerts": b'{"version": "4", "alerts": [' + b"{}," * 20_000 + b"{}]}",
    "an alert that is none": b'{"version": "4", "alerts": [[]]}',
    "another version": b'{"version": "5", "alerts": []}',
    "nothing": b"",
    "YAML": b"version: '4'\nalerts: !!python/object/apply:os.system ['id']\n",
}


@pytest.mark.parametrize("body", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_that_is_none_is_refused_in_bounded_memory(besieged: Besieged, body: bytes) -> None:
    """Parsing takes some of the body's size many times over, for one body at a time."""
    receiver, _ = besieged
    with bounded(receiver, grows=160 * MIB):
        for path in (WEBHOOK_PATH, POSTED_PATH):
            status, answer = receiver.post(body, path=path)
            assert status == 400
            assert set(answer) == {"error", "field", "value", "remedy"}
            assert len(json.dumps(answer)) < 2048


def test_refused_documents_at_once_take_turns(besieged: Besieged) -> None:
    """Ten large ones: what does not fit in is told to come again, and memory is that of one being parsed."""
    receiver, _ = besieged
    body = DOCUMENTS["a million small lists"]
    with bounded(receiver, grows=192 * MIB), ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: receiver.post(body)[0], range(10)))
    assert set(answers) <= {400, 503}
    assert receiver.post(webhook_payload())[0] == 200


def test_ten_thousand_models_that_do_not_exist_make_one_incident(
    control_plane: ControlPlane, cluster: ClusterAccess, besieged: Besieged, namespace: str, model: str
) -> None:
    """From a sender that is let in, in one request and in many at once; a true alert is among them and counts."""
    receiver, _ = besieged
    tag = f"Fake{uuid4().hex[:8]}"
    fakes = [firing_alert(namespace, tag, ai_model=f"fake-{n}", ai_category="PrivacyInference") for n in range(10_000)]
    true = firing_alert(namespace, "True")
    mark = control_plane.audit.mark()
    with bounded(receiver):
        assert receiver.post(webhook_payload(*fakes[:5000], true, *fakes[5000:]))[0] == 200
        parts = [webhook_payload(*fakes[n : n + 100]) for n in range(0, 10_000, 100)]
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda part: receiver.post(part)[0], parts)) == {200}
        status, answer = receiver.post(webhook_payload(firing_alert(namespace, "Also true")))
    assert (status, answer["extended"]) == (200, [f"{namespace}/chat-1"])
    [incident] = incidents_in(cluster, namespace)
    assert [entry["name"] for entry in incident["spec"]["alerts"]] == ["True", "Also true"]
    assert receiver_calls(control_plane.audit, mark, namespace) == ["create 201", "patch 200"]
    # Where alerts go that no model matched: one incident, full, and no more writes than it took to fill it.
    assert len(receiver_calls(control_plane.audit, mark, SYSTEM)) <= 2
    [unmatched] = [each for each in incidents_in(cluster, SYSTEM) if _names(each) & {tag}]
    assert len(unmatched["spec"]["alerts"]) == 64
    assert unmatched["spec"]["alertsTruncated"] is True


def _names(incident: Any) -> set[str]:
    return {entry["name"] for entry in incident["spec"].get("alerts", [])}
