"""Where a resource type's objects live, and that no name leads anywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.errors import InvalidInput
from lazaretto.kube.resource import CONTAINMENTS, DEPLOYMENTS, INCIDENTS, OWN, PODS, ResourceType

OURS = "/apis/lazaretto.dev/v1alpha1"


@pytest.mark.parametrize(
    ("resource", "where", "path"),
    [
        (PODS, {}, "/api/v1/pods"),
        (PODS, {"namespace": "shop"}, "/api/v1/namespaces/shop/pods"),
        (PODS, {"namespace": "shop", "name": "a"}, "/api/v1/namespaces/shop/pods/a"),
        (DEPLOYMENTS, {}, "/apis/apps/v1/deployments"),
        (
            DEPLOYMENTS,
            {"namespace": "shop", "name": "chat", "subresource": "scale"},
            "/apis/apps/v1/namespaces/shop/deployments/chat/scale",
        ),
        (
            INCIDENTS,
            {"namespace": "shop", "name": "chat-1", "subresource": "status"},
            f"{OURS}/namespaces/shop/aiincidents/chat-1/status",
        ),
        (CONTAINMENTS, {}, f"{OURS}/containments"),
    ],
)
def test_a_path_names_group_version_namespace_plural_and_name(
    resource: ResourceType, where: dict[str, str], path: str
) -> None:
    assert resource.path(**where) == path


@pytest.mark.parametrize(
    ("resource", "version"), [(PODS, "v1"), (DEPLOYMENTS, "apps/v1"), (INCIDENTS, "lazaretto.dev/v1alpha1")]
)
def test_objects_carry_group_and_version_as_one(resource: ResourceType, version: str) -> None:
    assert resource.api_version == version


def test_our_kinds_are_known_by_plural_and_kind() -> None:
    assert {(each.plural, each.kind) for each in OWN} == {
        ("aiincidents", "AIIncident"),
        ("containments", "Containment"),
        ("incidentdecisions", "IncidentDecision"),
        ("modelrevisions", "ModelRevision"),
        ("protectedmodels", "ProtectedModel"),
        ("responsepolicies", "ResponsePolicy"),
    }
    assert {each.api_version for each in OWN} == {"lazaretto.dev/v1alpha1"}


@pytest.mark.parametrize("text", ["..", ".", "a/scale", "/", "../../secrets/x", "a%2fscale", "%2e%2e"])
@pytest.mark.parametrize("part", ["namespace", "name", "subresource"])
def test_text_that_would_steer_the_path_is_refused(part: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PODS.path(**{"namespace": "shop", "name": "a", part: text})
    assert caught.value.value == repr(text)
    assert caught.value.remedy


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_every_name_is_one_segment_or_refused(namespace: str, name: str) -> None:
    try:
        path = PODS.path(namespace=namespace, name=name)
    except InvalidInput:
        return
    assert path.split("/") == ["", "api", "v1", "namespaces", namespace, "pods", name]
