"""Sets the stage in sight of the audience, up to a model that is armed, with traffic, and healthy.

Commands are shown as a person would type them; their long answers are counted rather than shown. Anything that
does not come up raises what its starter raises, or `TimeoutError` when the model does not become armed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from tests.demo.cast import Cast
from tests.demo.screen import Screen
from tests.demo.stage import MANIFESTS, MODEL, REVISIONS, Stage, identity_of

_ARMED_SECONDS = 60.0
_TRAFFIC_SECONDS = 30.0
_RATE_SECONDS = 5
_PAUSE_SECONDS = 0.2


def prepare(stage: Stage, screen: Screen) -> Cast:
    """Raises everything; returns the people who act."""
    screen.heading("Setting the stage")
    with _timed(screen, "control plane", "etcd, API server, controllers, scheduler, fake nodes (KWOK)"):
        stage.raise_control_plane()
    cast = Cast.hire(stage, screen=screen)
    _install(stage, cast)
    with _timed(screen, "model servers", "play what v1 and v2 answer, and export its metrics"):
        stage.raise_models()
        stage.watch()
    _attest(cast, screen)
    with _timed(screen, "operator, receiver", "processes under their own service accounts; TLS and a bearer token"):
        stage.raise_lazaretto()
    with _timed(screen, "Alertmanager, Prometheus", "manifests/alerting as shipped: receiver, routes, rules"):
        stage.raise_monitoring()
    _await_armed(stage, cast, screen)
    return cast


def _install(stage: Stage, cast: Cast) -> None:
    for folder in ("crds", "manifests/base", "manifests/demo"):
        cast.admin.kubectl("apply", "--server-side", "-k", folder, summary="{} objects applied")
        if folder == "crds":
            stage.plane.kubectl("wait", "--for=condition=Established", "--timeout=90s", "crd", "--all")


def _attest(cast: Cast, screen: Screen) -> None:
    """A pipeline vouches for v1, by the identity of what its pods load and run."""
    good = REVISIONS[0]
    screen.command(cast.admin.name, f"kubectl get deployment {good} -o yaml | lazaretto identity -f -".split())
    identity = identity_of(cast.admin.quietly("get", "deployment", good, "-o", "yaml"))
    screen.answer(identity)
    document = yaml.safe_load((MANIFESTS / "demo" / "attestation.yaml").read_text())
    document["spec"]["identity"] = identity
    cast.admin.kubectl("create", "-f", "-", input=yaml.safe_dump(document, sort_keys=False, width=120))


def _await_armed(stage: Stage, cast: Cast, screen: Screen) -> None:
    stage.witness.first(
        "protectedmodels",
        lambda model: model.get("status", {}).get("state") == "Armed",
        name=MODEL,
        seconds=_ARMED_SECONDS,
    )
    rates = _await_traffic(stage)
    for kind in ("protectedmodels", "deployments", "hpa"):
        cast.admin.kubectl("get", kind)
    told = ", ".join(f"{name} answered {rates[name]:.1f} requests/s" for name in REVISIONS)
    screen.say(
        f"Prometheus: {told} over the last {_RATE_SECONDS} s. The model is Armed: an incident could be answered now."
    )


def _await_traffic(stage: Stage) -> dict[str, float]:
    """Answers per second by revision, once Prometheus has watched both for a whole window."""
    answers = "vllm:request_success_total"
    window = f"{_RATE_SECONDS}s"
    # A window that begins before the first sample is taken for empty until then, and its rate comes out too low.
    rate = f"sum by (ai_revision) (rate({answers}[{window}]) and {answers} offset {window}) > 0"
    deadline = time.monotonic() + _TRAFFIC_SECONDS
    while True:
        found = stage.prometheus.query(rate)
        rates = {each["metric"]["ai_revision"]: float(each["value"][1]) for each in found}
        if len(rates) == len(REVISIONS):
            return rates
        if time.monotonic() > deadline:
            raise TimeoutError(f"Prometheus saw no traffic of both revisions in {_TRAFFIC_SECONDS:g} s, only {rates}")
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def _timed(screen: Screen, what: str, how: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    screen.fact(what, f"{how:<64}{time.monotonic() - begun:4.1f} s")
