"""One namespace with a model in it, opted in and ready to be contained, and ways to look at it.

`Stage` builds scenes; a scene is complete when the operator says that the model is armed, so the operator must run.
Scenes are independent of each other: build those of a module together, which takes hardly longer than one.
Reading and writing goes past kubectl (`raw_api.py`), because tests look often.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any

from lazaretto.domain.approvals import RELEASING
from tests.cluster.access import ClusterAccess
from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import PATIENCE, outlive_the_beginning, until
from tests.e2e.raw_api import Object, RawApi, RefusedError
from tests.e2e.shapes import BAD, MODEL, Shape, attestation, incident, protection, workloads
from tests.e2e.watcher import Watcher

OPERATOR = "system:serviceaccount:lazaretto-system:lazaretto-operator"
RECEIVER = "system:serviceaccount:lazaretto-system:lazaretto-receiver"
_PEOPLE = ("alice", "bob")
_TOUCHED = ("deployments", "services", "httproutes", "grpcroutes", "horizontalpodautoscalers")


def condition(body: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """One condition of an object's status, {} if it is not there."""
    found = body.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == type_), {})


class Scene:
    """One namespace; see the module's text."""

    def __init__(self, stage: Stage, namespace: str) -> None:
        """A scene that `Stage` builds."""
        self.namespace = namespace
        self.admin = stage.admin
        self._stage = stage

    def read(self, plural: str, name: str) -> Any:
        """One object of the namespace, None if it does not exist."""
        return self.admin.find(plural, namespace=self.namespace, name=name)

    def all(self, plural: str) -> Any:
        """The objects of a kind."""
        return self.admin.get(plural, namespace=self.namespace)

    def create(self, body: Mapping[str, Any]) -> Any:
        """Stores an object as the administrator."""
        return self.admin.create(body, namespace=self.namespace)

    def patch(self, plural: str, name: str, change: Any, *, subresource: str = "", manager: str = "somebody") -> Any:
        """Changes an object as the administrator, under somebody else's field manager."""
        return self.admin.patch(
            plural, change, namespace=self.namespace, name=name, subresource=subresource, manager=manager
        )

    def scale(self, name: str, replicas: int) -> None:
        """What `kubectl scale` does."""
        self.patch("deployments", name, {"spec": {"replicas": replicas}}, subresource="scale", manager="kubectl")

    def replicas(self, name: str = BAD) -> int:
        """Wanted replicas of a Deployment."""
        return int(self.read("deployments", name)["spec"]["replicas"])

    def weights(self, plural: str = "httproutes") -> dict[str, int]:
        """Weights of the route's first rule by backend."""
        rule = self.read(plural, MODEL)["spec"]["rules"][0]
        return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}

    def specs(self) -> dict[str, Any]:
        """The whole `.spec` of everything that a containment could touch, by kind and name."""
        return {
            f"{plural}/{each['metadata']['name']}": each["spec"] for plural in _TOUCHED for each in self.all(plural)
        }

    def generations(self) -> dict[str, int]:
        """How often the spec of everything that a containment could touch was changed, where that is counted."""
        found = {f"{plural}/{e['metadata']['name']}": e["metadata"] for plural in _TOUCHED for e in self.all(plural)}
        return {name: meta["generation"] for name, meta in found.items() if "generation" in meta}

    def look_again(self) -> None:
        """Has the operator look at the model now, as a change of its object does, not within the next minute."""
        self.patch("protectedmodels", MODEL, {"metadata": {"labels": {"look": uuid.uuid4().hex}}})

    def report(self, **more: Any) -> Any:
        """Creates an incident as the administrator; see `shapes.incident`."""
        return self.create(incident(**more))

    def incident(self, name: str = f"{MODEL}-1") -> Any:
        """One incident."""
        return self.read("aiincidents", name)

    def await_state(self, state: str, *, name: str = f"{MODEL}-1", seconds: float = PATIENCE) -> Any:
        """Waits until an incident is in a state, and returns it."""

        def there() -> Any:
            found = self.incident(name)
            return found if found and found.get("status", {}).get("state") == state else None

        try:
            return until(there, what=f"{name} {state}", seconds=seconds)
        except AssertionError as error:
            status = (self.incident(name) or {}).get("status", {})
            raise AssertionError(f"{error}; it is {status.get('state')}: {status.get('reason')}") from None

    def contained(self, name: str = f"{MODEL}-1") -> Any:
        """Waits until an incident is contained with proof, and until the containment says so as well."""
        found = self.await_state("Contained", name=name)
        until(
            lambda: (self.read("containments", MODEL) or {}).get("status", {}).get("state") == "Contained",
            what="the containment's own status",
        )
        return found

    def decide(self, user: str, verb: str, *, name: str = f"{MODEL}-1", model: str = MODEL, **more: str) -> Any:
        """Creates a decision with a person's own credentials; `more` overrides fields of its spec.

        An approval is given when it is later than the hold.
        """
        if verb in RELEASING:
            outlive_the_beginning(self.read("containments", model))
        return self.decide_at_once(user, verb, name=name, **more)

    def decide_at_once(self, user: str, verb: str, *, name: str = f"{MODEL}-1", **more: str) -> Any:
        """The same, whenever the hold began."""
        about = self.incident(name)
        spec = {
            "incidentName": name,
            "incidentUID": about["metadata"]["uid"],
            "verb": verb,
            "decidedBy": user,
            "reason": "looked at it",
            **more,
        }
        body = {
            "apiVersion": "lazaretto.dev/v1alpha1",
            "kind": "IncidentDecision",
            "metadata": {"name": f"{name[:200]}-{verb.lower()}-{uuid.uuid4().hex[:6]}"},
            "spec": spec,
        }
        return self._stage.person(user).create(body, namespace=self.namespace)

    def release(self, name: str = f"{MODEL}-1") -> Any:
        """Two people approve; returns the incident once it is released and the journal is gone."""
        for user in _PEOPLE:
            self.decide(user, "ApproveRelease", name=name)
        released = self.await_state("Released", name=name)
        until(lambda: self.read("containments", MODEL) is None, what="the journal is gone")
        return released

    def watched(self, *plurals: str) -> Watcher:
        """An independent witness of this namespace, to be used with `with`."""
        return Watcher(self.admin, self.namespace, plurals=plurals) if plurals else Watcher(self.admin, self.namespace)

    def events(self, name: str) -> list[Object]:
        """Kubernetes Events about an object, by the time of their creation."""
        found = [e for e in self.all("events") if e["involvedObject"]["name"] == name]
        return sorted(found, key=lambda e: (e["metadata"]["creationTimestamp"], int(e["metadata"]["resourceVersion"])))


class Stage:
    """Builds scenes, and takes them away in the end."""

    def __init__(self, plane: ControlPlane, admin: RawApi) -> None:
        """Works on a control plane that runs the operator."""
        self.plane = plane
        self.admin = admin
        self._people: dict[str, RawApi] = {}
        self._lock = Lock()
        self._built: list[str] = []

    def person(self, name: str) -> RawApi:
        """The API as a person with a certificate of their own."""
        with self._lock:
            if name not in self._people:
                self._people[name] = RawApi(self.plane.user_kubeconfig(name))
            return self._people[name]

    def build(self, shape: Shape | None = None, *, armed: bool = True) -> Scene:
        """Builds a scene; `armed`: waits until the operator says that the model is armed."""
        return self.build_all({"": shape or Shape()}, armed=armed)[""]

    def build_all(self, shapes: Mapping[str, Shape], *, armed: bool = True) -> dict[str, Scene]:
        """Builds several scenes at once."""
        with ThreadPoolExecutor(8) as pool:
            scenes = list(pool.map(lambda shape: self._build(shape, armed=armed), shapes.values()))
        return dict(zip(shapes, scenes, strict=True))

    def clear(self) -> None:
        """Asks for all namespaces to be deleted."""
        for namespace in self._built:
            self.admin.delete("namespaces", name=namespace)
        self._built.clear()
        for each in self._people.values():
            each.close()

    def _build(self, shape: Shape, *, armed: bool) -> Scene:
        scene = Scene(self, f"e2e-{uuid.uuid4().hex[:10]}")
        self._open(scene, shape)
        # What is needed to be armed comes first: a model that is not armed is looked at again only after 10 s.
        for body in [*workloads(shape), *attestation(shape)]:
            scene.create(body)
        until(lambda: all(map(_available, scene.all("deployments"))), what="workloads available")
        for body in protection(shape):
            scene.create(body)
        if armed:
            until(lambda: _armed(scene.read("protectedmodels", MODEL), shape.known_good), what="the model is armed")
        return scene

    def _open(self, scene: Scene, shape: Shape) -> None:
        labels = {"lazaretto.dev/protected": "true"} | ({} if shape.fenced else {"lazaretto.dev/fence": "off"})
        metadata = {"name": scene.namespace, "labels": labels}
        self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self._built.append(scene.namespace)
        users = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name} for name in _PEOPLE]
        scene.create(_binding("lazaretto-responder", users))
        if shape.opted_in:
            opt_in(scene)
        if shape.isolating:
            opt_in(scene, "lazaretto-isolation")
        if shape.copying:
            opt_in(scene, "lazaretto-copies")
        if shape.rolling_back:
            opt_in(scene, "lazaretto-rollback")
        # Pods are refused until the namespace has its ServiceAccount.
        account = {"namespace": scene.namespace, "name": "default"}
        until(lambda: self.admin.find("serviceaccounts", **account), what="the default ServiceAccount")


@contextmanager
def staged(plane: ControlPlane) -> Iterator[Stage]:
    """A stage for as long as the `with` lasts, as the administrator of the control plane."""
    with closing(RawApi(plane.kubeconfig)) as admin:
        stage = Stage(plane, admin)
        try:
            yield stage
        finally:
            stage.clear()


def opt_in(scene: Scene, role: str = "lazaretto-actor") -> None:
    """Lets the operator's account act in the namespace, as `manifests/opt-in` does."""
    account = {"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": "lazaretto-system"}
    scene.create(_binding(role, [account]))


def let_read_secret(scene: Scene, name: str) -> None:
    """Lets the operator's account read this one Secret."""
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}]
    scene.create({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "digests"}, "rules": rules})
    account = {"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": "lazaretto-system"}
    binding = _binding("digests", [account])
    scene.create({**binding, "roleRef": {**binding["roleRef"], "kind": "Role"}})


def let_pause_gitops(scene: Scene) -> None:
    """Lets the operator's account keep GitOps tools away in the namespace."""
    account = {"kind": "ServiceAccount", "name": "lazaretto-operator", "namespace": "lazaretto-system"}
    scene.create(_binding("lazaretto-gitops", [account]))


def refused(call: Callable[[], Any]) -> str:
    """What the API server says when it refuses `call`; fails if it does not."""
    try:
        call()
    except RefusedError as error:
        return str(error)
    raise AssertionError("the API server took it")


def show(cluster: ClusterAccess, scene: Scene, *arguments: str) -> str:
    """What kubectl prints about the scene's namespace."""
    return cluster.kubectl(*arguments, "-n", scene.namespace)


def bare(body: Mapping[str, Any]) -> Object:
    """An object without what the API server counts and controllers report."""
    kept = {key: value for key, value in body.items() if key != "status"}
    counted = ("resourceVersion", "generation", "managedFields")
    kept["metadata"] = {k: v for k, v in body["metadata"].items() if k not in counted}
    return kept


def plain(value: Any) -> str:
    """Canonical JSON, for comparing and printing."""
    return json.dumps(value, sort_keys=True)


def _binding(role: str, subjects: Iterable[Mapping[str, str]]) -> Object:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def _available(deployment: Mapping[str, Any]) -> bool:
    return int(deployment.get("status", {}).get("availableReplicas", 0)) >= int(deployment["spec"]["replicas"])


def _armed(model: Mapping[str, Any] | None, good: str) -> bool:
    status = (model or {}).get("status", {})
    return condition(model or {}, "Armed").get("status") == "True" and good in ("", status.get("knownGood"))
