"""The script: seven steps, each shown only after it was seen to have happened.

A step that does not happen within the deadline raises `StepFailedError`, which names it, and nothing after it is
played. Moments are those at which the witness had the changed object in hand; what is shown of the cluster was
read anew by kubectl, and is checked before the next step begins.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from tests.cluster.access import KubectlError
from tests.cluster.binaries import binary
from tests.cluster.process import ProcessFailedError
from tests.demo import record
from tests.demo.cast import Cast
from tests.demo.gateway import weights
from tests.demo.screen import Clock, Screen
from tests.demo.stage import MODEL, REVISIONS, Stage
from tests.e2e.raw_api import Object
from tests.e2e.watcher import Version

GOOD, BAD = REVISIONS
ALERT = "GuardrailOutputLeak"
SCALED_TO = 5
_BREAK_GLASS = ("--as=admin", "--as-group=lazaretto:break-glass", "--as-group=system:masters")
_STILL_SECONDS = 1.0
_POLL_SECONDS = 0.05
_EVERYTHING = "deployments,services,httproutes,horizontalpodautoscalers"
_WEIGHTS = '{range .spec.rules[0].backendRefs[*]}{.name}={.weight}{"\\n"}{end}'
_CONDITIONS = '{range .status.conditions[*]}{.type}={.status}: {.message}{"\\n"}{end}'
_INTERFERENCE = '{range .status.timeline[?(@.type=="Interference")]}{.message}{"\\n"}{end}'


class StepFailedError(RuntimeError):
    """A step did not happen."""

    def __init__(self, step: str, why: str) -> None:
        """Names the step as its heading does."""
        super().__init__(f"Step {step!r} did not happen: {why}")


class _NotSoError(RuntimeError):
    """What was read is not what the script says."""


class Script:
    """See the module's text."""

    def __init__(self, stage: Stage, cast: Cast, *, screen: Screen, clock: Clock, deadline: float) -> None:
        """Plays on a stage that is ready; each wait ends after `deadline` seconds."""
        self._stage = stage
        self._cast = cast
        self._screen = screen
        self._clock = clock
        self._deadline = deadline
        self._incident = ""
        self._before: dict[str, Any] = {}

    def play(self, *, leak: bool = True) -> None:
        """Plays all steps; without `leak` the metric never goes bad, and the first step fails."""
        self._before = record.specs(self._cast.admin.get(_EVERYTHING))
        self._clock.start()
        with self._step("1  The alert fires"):
            if leak:
                self._stage.models[BAD].post("/leak")
                self._clock.start()
                self._screen.moment(time.monotonic(), f"one output in five of {BAD} now holds personal data")
            self._alert()
        with self._step("2  The incident is stored"):
            stored = self._stored()
        with self._step("3  The model is contained"):
            self._contained(stored)
        with self._step("4  Somebody scales it up, and the API server refuses"):
            self._fence()
        with self._step("5  An emergency is claimed, and the operator undoes it"):
            self._interference()
        with self._step("6  Two people release it"):
            self._release()
        with self._step("7  The incident's record"):
            self._record()

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._screen.heading(title)
        try:
            yield
        except (TimeoutError, _NotSoError, KubectlError, ProcessFailedError, OSError, HTTPException) as error:
            raise StepFailedError(title, str(error)) from error

    def _alert(self) -> None:
        prometheus, alertmanager = self._stage.prometheus, self._stage.alertmanager
        self._until(
            lambda: any(a["labels"]["alertname"] == ALERT and a["state"] == "firing" for a in prometheus.alerts()),
            what=f"alert {ALERT} firing in Prometheus",
        )
        found = self._until(
            lambda: [alert for alert in alertmanager.alerts() if alert["labels"]["alertname"] == ALERT],
            what=f"alert {ALERT} in Alertmanager",
        )
        # Said by Prometheus itself: when we notice it, the receiver may have stored the incident already.
        fired = time.monotonic() - (datetime.now(UTC) - datetime.fromisoformat(found[0]["startsAt"])).total_seconds()
        self._screen.moment(fired, f"Prometheus: {ALERT} fires (rule file as shipped, scraped every second)")
        arguments = ["query", "instant", prometheus.url, 'ALERTS{ai_incident="true"}']
        self._screen.command(self._cast.admin.name, ["promtool", *map(shlex.quote, arguments)])
        self._screen.answer(record.output_of([str(binary("promtool")), *arguments], home=self._stage.root))

    def _stored(self) -> Version:
        stored = self._see("aiincidents", "", lambda _: True, what="an AIIncident")
        self._incident = stored.name
        self._screen.moment(stored.at, f"the receiver stored AIIncident {stored.name} before it answered Alertmanager")
        self._see("aiincidents", self._incident, lambda o: o.get("status", {}).get("state"), what="a first status")
        self._cast.admin.kubectl("get", "aii")
        return stored

    def _contained(self, stored: Version) -> None:
        marks: tuple[tuple[str, str, Callable[[Object], Any], str], ...] = (
            ("httproutes", MODEL, lambda o: _traffic(o) == (100, 0), f"route: weight 100 to {GOOD}, 0 to {BAD}"),
            ("horizontalpodautoscalers", BAD, _held, "autoscaler: scale-up disabled"),
            ("deployments", BAD, lambda o: o["spec"]["replicas"] == 0, f"{BAD}: 0 replicas wanted"),
            ("deployments", BAD, _empty, f"{BAD}: 0 replicas left"),
            (
                "aiincidents",
                self._incident,
                _proved,
                "operator: contained, proved at level L2 (no pod left, none can start)",
            ),
        )
        seen = [(self._see(plural, name, holds, what=text).at, text) for plural, name, holds, text in marks]
        for at, text in sorted(seen):
            self._screen.moment(at, text)
        cut, held, zero, _, proved = (round((at - stored.at) * 1000) for at, _ in seen)
        self._screen.say(
            f"After the incident was stored: traffic away {cut} ms, autoscaler held {held} ms, 0 replicas wanted "
            f"{zero} ms, all of it proved {proved} ms."
        )
        admin = self._cast.admin
        shown = admin.kubectl("get", "httproute", MODEL, "-o", f"jsonpath={_WEIGHTS}")
        self._check(shown.split() == [f"{GOOD}=100", f"{BAD}=0"], f"weights 100 and 0, not {shown!r}")
        policy = admin.kubectl("get", "hpa", BAD, "-o", "jsonpath={.spec.behavior.scaleUp.selectPolicy}")
        self._check(policy == "Disabled", f"an autoscaler that may not scale up, not {policy!r}")
        admin.kubectl("get", "deployments")
        pods = admin.kubectl("get", "pods", "-l", f"app={MODEL}")
        self._check(BAD not in pods and GOOD in pods, f"pods of {GOOD} alone")
        admin.kubectl("get", "containments")
        admin.kubectl("get", "aii", self._incident, "-o", f"jsonpath={_CONDITIONS}")
        self._quiet()

    def _quiet(self) -> None:
        """The users' side of it: the leaking revision answers nobody, the other one everybody."""
        before = {name: model.counts for name, model in self._stage.models.items()}
        time.sleep(_STILL_SECONDS)
        after = {name: model.counts for name, model in self._stage.models.items()}
        self._check(after[BAD] == before[BAD], f"{BAD} at {before[BAD]}, not {after[BAD]}")
        self._check(after[GOOD]["answered"] > before[GOOD]["answered"], f"{GOOD} answering in its place")
        self._screen.say(
            f"Model servers: {BAD} gave {after[BAD]['leaked']} leaking answers in all and none in the last second; "
            f"{GOOD} answered {after[GOOD]['answered'] - before[GOOD]['answered']} requests in that second."
        )

    def _interference(self) -> None:
        begun = time.monotonic()
        self._cast.admin.kubectl("scale", "deployment", BAD, f"--replicas={SCALED_TO}", *_BREAK_GLASS)
        up = self._see(
            "deployments", BAD, lambda o: o["spec"]["replicas"] == SCALED_TO, what="the scaling", since=begun
        )
        down = self._see("deployments", BAD, lambda o: o["spec"]["replicas"] == 0, what="0 again", since=up.at)
        told = self._see("aiincidents", self._incident, _interfered, what="Interference in the timeline", since=up.at)
        self._screen.moment(up.at, f"{BAD}: {SCALED_TO} replicas wanted")
        self._screen.moment(down.at, f"{BAD}: 0 replicas wanted again, {(down.at - up.at) * 1000:.0f} ms later")
        self._screen.moment(told.at, "the incident tells it")
        self._cast.admin.kubectl("get", "aii", self._incident, "-o", f"jsonpath={_INTERFERENCE}")
        pods = self._cast.admin.get("pods", "-l", f"app={MODEL},revision=v2")["items"]
        ready = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        self._check(not ready, f"no pod of {BAD}, not {ready}")

    def _fence(self) -> None:
        proved = self._see("aiincidents", self._incident, _fenced, what="a fence that is proved")
        self._screen.moment(proved.at, "operator: dry runs that would undo it are refused")
        said = self._cast.admin.refused("scale", "deployment", BAD, f"--replicas={SCALED_TO}")
        self._check(f"contained by incident {self._incident}" in said, f"a refusal, not {said or 'success'!r}")
        self._still_held()

    def _release(self) -> None:
        self._stage.models[BAD].post("/repair")
        self._screen.say(f"{BAD} was repaired. The alert may resolve now; that alone releases nothing.")
        uid = self._cast.admin.get("aii", self._incident)["metadata"]["uid"]

        def approval(name: str, by: str) -> str:
            return record.approval(name, incident=self._incident, uid=uid, by=by)

        begun = time.monotonic()
        self._cast.alice.kubectl("create", "-f", "-", input=approval("release-alice", "alice"))
        counted = self._see("aiincidents", self._incident, lambda o: _approvals(o) == ["alice"], what="one approval")
        time.sleep(_STILL_SECONDS)
        self._still_held()
        self._screen.moment(counted.at, f"alice counts ({(counted.at - begun) * 1000:.0f} ms after she typed)")
        self._cast.alice.kubectl("get", "aii", self._incident, "-o", "jsonpath={.status.reason}")
        self._screen.say("Alice tries to be bob as well:")
        said = self._cast.alice.refused("create", "-f", "-", input=approval("release-bob", "bob"))
        self._check("nobody decides in the name of somebody else" in said, f"a refusal, not {said or 'success'!r}")
        self._still_held()
        self._cast.bob.kubectl("create", "-f", "-", input=approval("release-bob", "bob"))
        self._restored(time.monotonic())

    def _still_held(self) -> None:
        admin = self._cast.admin
        self._check(admin.get("deployment", BAD)["spec"]["replicas"] == 0, f"{BAD} still at 0")
        self._check(_traffic(admin.get("httproute", MODEL)) == (100, 0), "traffic still away")
        self._check(_held(admin.get("hpa", BAD)), "the autoscaler still held")

    def _restored(self, since: float) -> None:
        wanted = self._before[f"Deployment/{BAD}"]["spec"]["replicas"]
        marks: tuple[tuple[str, str, Callable[[Object], Any], str], ...] = (
            ("deployments", BAD, lambda o: o["spec"]["replicas"] == wanted, f"{BAD}: {wanted} replicas wanted"),
            ("deployments", BAD, lambda o: _available(o) == wanted, f"{BAD}: {wanted} replicas available"),
            ("httproutes", MODEL, lambda o: _traffic(o) == (10, 90), f"route: weight 10 to {GOOD}, 90 to {BAD}"),
            ("horizontalpodautoscalers", BAD, lambda o: not _held(o), "autoscaler: free"),
            ("aiincidents", self._incident, lambda o: o["status"]["state"] == "Released", "operator: released"),
        )
        begun = since - 1.0
        seen = [(self._see(p, n, holds, what=text, since=begun).at, text) for p, n, holds, text in marks]
        for at, text in sorted(seen):
            self._screen.moment(at, text)
        admin = self._cast.admin
        self._until(lambda: not admin.get("containments")["items"], what="the Containment removed")
        text = admin.type("get", _EVERYTHING, "-o", "json")
        differences = record.differences(self._before, record.specs(json.loads(text)))
        self._screen.table(
            [(name, differences.get(name, "spec, labels and annotations exactly as before")) for name in self._before]
        )
        self._check(not differences, f"everything as before; differs: {differences}")

    def _record(self) -> None:
        incidents = self._cast.admin.get("aii")["items"]
        self._check(len(incidents) == 1, f"one incident, not {[each['metadata']['name'] for each in incidents]}")
        lines = '{range .status.timeline[*]}{.at}{"\\t"}{.type}{"\\t"}{.message}{"\\n"}{end}'
        text = self._cast.admin.type("get", "aii", self._incident, "-o", f"jsonpath={lines}")
        rows = record.timeline_rows(text, clock=self._clock)
        self._screen.table(rows)
        kinds = [row[2] for row in rows]
        for kind in ("Detected", "Stored", "Decided", "Journalled", "Acted", "Proved", "Interference", "Released"):
            self._check(kind in kinds, f"{kind} in the timeline, which has {', '.join(kinds)}")

    def _see(self, plural: str, name: str, holds: Callable[[Object], Any], *, what: str, since: float = 0.0) -> Version:
        """The first version since then of which it holds; a value that stood before `since` does not count."""
        deadline = time.monotonic() + self._deadline
        while True:
            for version in self._stage.witness.seen(plural, name):
                if version.at >= since and version.event != "DELETED" and holds(version.body):
                    return version
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not seen within {self._deadline:g} s")
            time.sleep(_POLL_SECONDS)

    def _until(self, holds: Callable[[], Any], *, what: str) -> Any:
        deadline = time.monotonic() + self._deadline
        while not (found := holds()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not seen within {self._deadline:g} s")
            time.sleep(_POLL_SECONDS)
        return found

    def _check(self, condition: bool, expected: str) -> None:
        if not condition:
            raise _NotSoError(f"expected {expected}")


def _traffic(route: Object) -> tuple[int, int]:
    found = weights(route)
    return found[GOOD], found[BAD]


def _held(autoscaler: Object) -> bool:
    behavior = autoscaler["spec"].get("behavior") or {}
    return bool((behavior.get("scaleUp") or {}).get("selectPolicy") == "Disabled")


def _empty(deployment: Object) -> bool:
    status = deployment.get("status", {})
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(seen and deployment["spec"]["replicas"] == 0 and not status.get("replicas"))


def _available(deployment: Object) -> int:
    return int(deployment.get("status", {}).get("availableReplicas", 0))


def _proved(incident: Object) -> bool:
    status = incident.get("status", {})
    return bool(status.get("state") == "Contained" and status.get("containment", {}).get("proof") == "L2")


def _interfered(incident: Object) -> bool:
    return any(entry["type"] == "Interference" for entry in incident["status"].get("timeline", []))


def _fenced(incident: Object) -> bool:
    conditions = incident.get("status", {}).get("conditions", [])
    return any(each["type"] == "Fenced" and each["status"] == "True" for each in conditions)


def _approvals(incident: Object) -> list[str]:
    return [each["by"] for each in incident.get("status", {}).get("approvals", [])]
