"""A template is kept as it served or not at all, and the reason is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lazaretto.api.modelrevision import LONGEST_TEMPLATE, RecordedTemplate
from lazaretto.domain.recorded_template import keeping, template_of
from tests.unit.domain.objects import revision, workload

SERVING = replace(workload("chat-v1"), rolled_out=True)


def template(**spec: Any) -> dict[str, Any]:
    annotations = {"kubectl.kubernetes.io/restartedAt": "now", "note": "kept"}
    meta = {"labels": {"app": "chat"}, "annotations": annotations, "creationTimestamp": None}
    return {"metadata": meta, "spec": {"containers": [{"name": "server", "image": "x"}], **spec}}


def test_what_decides_about_the_pods_is_kept() -> None:
    kept = keeping(revision("r"), [SERVING], templates={SERVING.uid: template()})
    assert kept.recorded is not None
    assert (kept.recorded.kind, kept.recorded.name, kept.why_not) == ("Deployment", "chat-v1", "")
    meta = {"labels": {"app": "chat"}, "annotations": {"note": "kept"}}
    assert template_of(kept.recorded) == {"metadata": meta, "spec": template()["spec"]}


@pytest.mark.parametrize(("excess", "kept"), [(0, True), (1, False)])
def test_what_is_longer_than_a_record_has_room_for_is_not_kept(excess: int, kept: bool) -> None:
    empty = keeping(revision("r"), [SERVING], templates={SERVING.uid: template(hostname="")}).recorded
    assert empty is not None
    full = template(hostname="x" * (LONGEST_TEMPLATE - len(empty.template) + excess))
    found = keeping(revision("r"), [SERVING], templates={SERVING.uid: full})
    assert (found.recorded is not None) is kept
    assert kept or f"longer than {LONGEST_TEMPLATE} characters" in found.why_not


def test_with_a_secret_in_it_nothing_of_it_is_kept() -> None:
    secret = {"name": "server", "image": "x", "env": [{"name": "HF_TOKEN", "value": "hunter2"}]}
    found = keeping(revision("r"), [SERVING], templates={SERVING.uid: template(containers=[secret])})
    assert found.recorded is None
    assert "variable HF_TOKEN in container server" in found.why_not
    assert "hunter2" not in found.why_not


def test_while_nothing_serves_it_what_is_known_stays() -> None:
    rolling = replace(SERVING, rolled_out=False)
    before = revision("r")
    known = RecordedTemplate(kind="Deployment", name="chat-v1", template=json.dumps(template()))
    before = before.model_copy(update={"status": before.status.model_copy(update={"recorded": known})})
    assert keeping(before, [rolling], templates={SERVING.uid: template(hostname="other")}).recorded == known
    assert keeping(before, [], templates={}).recorded == known


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null"])
def test_what_is_no_template_is_an_empty_one(text: str) -> None:
    recorded = RecordedTemplate.model_construct(kind="Deployment", name="chat-v1", template=text)
    assert template_of(recorded) == {}
