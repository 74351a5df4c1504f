"""A compromised Deployment gets the template of the known-good revision again, where the policy says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lazaretto.domain.recorded_template import plain
from tests.cluster.audit import AuditLog
from tests.cluster.waiting import until
from tests.e2e.ledger import Ledger, named
from tests.e2e.raw_api import Object
from tests.e2e.rollouts import (
    ROLLING_BACK,
    Record,
    attested,
    current_template,
    degraded,
    serves_rolled_back,
    template,
)
from tests.e2e.scene import OPERATOR, Scene, Stage, condition, refused
from tests.e2e.shapes import BAD, MODEL

pytestmark = pytest.mark.cluster


def test_a_template_is_rolled_back_and_what_ran_before_never_comes_back(stage: Stage, audit: AuditLog) -> None:
    scene = stage.build(replace(ROLLING_BACK, autoscaler=True))
    record = attested(scene, template(1), template(2))
    record.chosen()
    before, ledger = scene.specs(), Ledger(audit, scene.namespace)
    scene.report()
    serves_rolled_back(scene, record)
    rolled_back = {
        **before,
        f"deployments/{BAD}": {**before[f"deployments/{BAD}"], "template": current_template(scene)},
    }
    assert scene.specs() == rolled_back
    ledger.settled()
    calls = [named(r) for r in ledger.calls(OPERATOR, writes=True) if r.code < 300]
    templates = [c for c in calls if c.startswith("patch deployments") and "scale" not in c]
    # Rehearsed first, again after each race that is lost, and written once.
    assert templates[0] == "patch deployments (dry run)"
    assert [call for call in templates if call != templates[0]] == ["patch deployments"]
    # Stopped first, rolled back then, and only then given back.
    scales = [n for n, call in enumerate(calls) if call == "patch deployments/scale"]
    assert len(scales) == 2
    assert scales[0] < calls.index("patch deployments") < scales[1]
    # A pipeline that applies the compromised template again is refused.
    bad = {"op": "replace", "path": "/spec/template", "value": template(2)}
    assert "its template stays as it is" in refused(lambda: scene.patch("deployments", BAD, [bad]))
    scene.release()
    assert scene.specs() == rolled_back


PROMPTS = "prompts"


def prompts() -> Object:
    """A ConfigMap that the known-good revision needs, and the compromised one does not."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PROMPTS}, "data": {"system": "be kind"}}


def put_back_by_somebody(scene: Scene, record: Record) -> str:
    scene.report()
    serves_rolled_back(scene, record)
    scene.patch("deployments", BAD, [{"op": "replace", "path": "/spec/template", "value": template(2)}])
    until(lambda: scene.replicas() == 0, what="it is held again")
    text = degraded(scene)
    assert (
        plain(current_template(scene))["spec"]["containers"][0]["args"] == template(2)["spec"]["containers"][0]["args"]
    )
    scene.release()
    return text


def paused(scene: Scene, record: Record) -> str:
    scene.patch("deployments", BAD, {"spec": {"paused": True}})
    scene.report()
    text = degraded(scene)
    scene.patch("deployments", BAD, {"spec": {"paused": False}})
    serves_rolled_back(scene, record)
    return text


def repaired_meanwhile(scene: Scene, record: Record) -> str:
    scene.patch("deployments", BAD, {"spec": {"paused": True}})
    scene.report()
    degraded(scene)
    scene.patch("deployments", BAD, [{"op": "replace", "path": "/spec/template", "value": template(3)}])
    scene.patch("deployments", BAD, {"spec": {"paused": False}})
    until(lambda: "since" in degraded(scene), what="that is told")
    text = degraded(scene)
    assert scene.replicas() == 0
    scene.release()
    return text


def named_by_another(scene: Scene, record: Record) -> str:
    """What was rolled back to is said to be compromised as well."""
    scene.report()
    serves_rolled_back(scene, record)
    scene.report(name=f"{MODEL}-2", target={"model": MODEL, "revision": record.name})
    return str(scene.await_state("Stalled", name=f"{MODEL}-2")["status"])


LEFT = "compromised pods are still terminating"


@contextmanager
def one_pod_left(scene: Scene) -> Iterator[None]:
    """Reports an incident, of which one pod does not end before the `with` is over."""
    pod = next(p for p in scene.all("pods") if p["metadata"]["name"].startswith(BAD))["metadata"]["name"]
    scene.patch("pods", pod, {"metadata": {"finalizers": ["example.com/stay"]}})
    scene.report()
    until(lambda: LEFT in condition(scene.incident(), "Contained").get("message", ""), what="one pod is left")
    yield
    scene.patch("pods", pod, {"metadata": {"finalizers": None}})


def a_pod_that_does_not_end(scene: Scene, record: Record) -> str:
    before = current_template(scene)
    with one_pod_left(scene):
        scene.look_again()
        assert current_template(scene) == before
    serves_rolled_back(scene, record)
    return LEFT


def what_it_needs_goes_meanwhile(scene: Scene, record: Record) -> str:
    """What was there when it was chosen is looked for once more before the template is written."""
    with one_pod_left(scene):
        scene.admin.delete("configmaps", namespace=scene.namespace, name=PROMPTS)
    text = degraded(scene)
    scene.create(prompts())
    serves_rolled_back(scene, record)
    return text


STORIES: dict[str, tuple[Callable[[Scene, Record], str], str]] = {
    "put back by somebody": (put_back_by_somebody, "somebody changed its template after it was rolled back"),
    "a pod that does not end": (a_pod_that_does_not_end, "still terminating"),
    "what it needs goes": (what_it_needs_goes_meanwhile, f"ConfigMap/{PROMPTS}, which its pods need, does not exist"),
    "paused": (paused, "it is paused"),
    "repaired meanwhile": (repaired_meanwhile, "somebody changed its template since"),
    "named by another": (named_by_another, "no revision is known to be good"),
}


@pytest.fixture(scope="module")
def told(stage: Stage) -> dict[str, str]:
    """What was said in each story; they are told at once, where nothing but the operator holds."""
    scenes = stage.build_all(dict.fromkeys(STORIES, replace(ROLLING_BACK, fenced=False)))

    def tell(name: str) -> str:
        scenes[name].create(prompts())
        volume = {"name": PROMPTS, "configMap": {"name": PROMPTS, "defaultMode": 420}}
        record = attested(scenes[name], template(1, volumes=[volume]), template(2))
        record.chosen()
        return STORIES[name][0](scenes[name], record)

    with ThreadPoolExecutor(len(STORIES)) as pool:
        return dict(zip(STORIES, pool.map(tell, STORIES), strict=True))


@pytest.mark.parametrize("name", STORIES)
def test_what_becomes_of_it_is_told(told: dict[str, str], name: str) -> None:
    assert STORIES[name][1] in told[name]
