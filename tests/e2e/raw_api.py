"""A plain HTTP client of the API server: no code of ours and no kubectl between a test and what is stored.

Connections are kept alive, so that reading fifty times a second costs little. Whoever the kubeconfig
names is who asks. A refusal raises `RefusedError` with the server's own words.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]

_OWN = "apis/lazaretto.dev/v1alpha1"
_GROUPS = {
    "networkpolicies": "apis/networking.k8s.io/v1",
    "deployments": "apis/apps/v1",
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    "httproutes": "apis/gateway.networking.k8s.io/v1",
    "grpcroutes": "apis/gateway.networking.k8s.io/v1",
    "customresourcedefinitions": "apis/apiextensions.k8s.io/v1",
    "leases": "apis/coordination.k8s.io/v1",
    "scaledobjects": "apis/keda.sh/v1alpha1",
    "applications": "apis/argoproj.io/v1alpha1",
    **dict.fromkeys(
        ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"), "apis/admissionregistration.k8s.io/v1"
    ),
    "endpointslices": "apis/discovery.k8s.io/v1",
    **dict.fromkeys(("rolebindings", "roles", "clusterroles"), "apis/rbac.authorization.k8s.io/v1"),
    **dict.fromkeys(
        (
            "services",
            "pods",
            "events",
            "configmaps",
            "secrets",
            "serviceaccounts",
            "namespaces",
            "nodes",
            "resourcequotas",
        ),
        "api/v1",
    ),
    **dict.fromkeys(
        ("aiincidents", "containments", "incidentdecisions", "modelrevisions", "protectedmodels", "responsepolicies"),
        _OWN,
    ),
}
_PLURALS = {"ResponsePolicy": "responsepolicies", "MutatingAdmissionPolicy": "mutatingadmissionpolicies"}


class RefusedError(RuntimeError):
    """The API server answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        """Describes the answer."""
        super().__init__(f"{code}: {message}")
        self.code = code


def path_of(plural: str, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a collection, or of an object in it."""
    place = ["namespaces", namespace] if namespace else []
    return "/" + "/".join(part for part in (_GROUPS[plural], *place, plural, name, subresource) if part)


def plural_of(body: Mapping[str, Any]) -> str:
    """The plural of an object's kind."""
    kind = str(body["kind"])
    return _PLURALS.get(kind, f"{kind.lower()}s")


class RawApi:
    """See the module's text. Safe for threads."""

    def __init__(self, kubeconfig: Path) -> None:
        """Asks as the user of a kubeconfig that our control plane wrote: one context, files for credentials."""
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._address = urlsplit(cluster["server"])
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        if "client-certificate" in user:
            self._tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._idle: list[HTTPSConnection] = []

    def get(self, plural: str, *, namespace: str = "", name: str = "", **query: str) -> Any:
        """One object, or the items of a collection."""
        suffix = f"?{urlencode(query)}" if query else ""
        found = self._call("GET", path_of(plural, namespace=namespace, name=name) + suffix)
        return found if name else found["items"]

    def find(self, plural: str, *, namespace: str, name: str) -> Any:
        """One object, or None if it does not exist."""
        try:
            return self.get(plural, namespace=namespace, name=name)
        except RefusedError as error:
            if error.code == 404:
                return None
            raise

    def create(self, body: Mapping[str, Any], *, namespace: str = "") -> Any:
        """Stores a new object and returns it."""
        return self._call("POST", path_of(plural_of(body), namespace=namespace), body=body)

    def patch(
        self, plural: str, change: Any, *, namespace: str, name: str, subresource: str = "", manager: str = "somebody"
    ) -> Any:
        """Merges `change` into an object (a list is a JSON patch) and returns it."""
        kind = "json-patch" if isinstance(change, list) else "merge-patch"
        path = path_of(plural, namespace=namespace, name=name, subresource=subresource)
        return self._call("PATCH", f"{path}?fieldManager={manager}", body=change, kind=f"application/{kind}+json")

    def delete(self, plural: str, *, namespace: str = "", name: str, at_once: bool = False) -> None:
        """Asks for an object to be deleted; `at_once`: without waiting for whoever would end it."""
        self._call("DELETE", path_of(plural, namespace=namespace, name=name) + "?gracePeriodSeconds=0" * at_once)

    def watch(self, plural: str, *, namespace: str) -> Stream:
        """Events of a collection, from its present objects on."""
        connection = self._connection(seconds=None)
        query = urlencode({"watch": "1", "timeoutSeconds": "600"})
        connection.request("GET", f"{path_of(plural, namespace=namespace)}?{query}", headers=self._headers)
        answer = connection.getresponse()
        if answer.status != 200:
            text = answer.read().decode()
            connection.close()
            raise RefusedError(answer.status, text)
        return Stream(connection, answer)

    def close(self) -> None:
        """Closes the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self, *, seconds: float | None) -> HTTPSConnection:
        return HTTPSConnection(self._address.hostname or "", self._address.port, timeout=seconds, context=self._tls)

    def _call(self, method: str, path: str, *, body: Any = None, kind: str = "application/json") -> Any:
        while True:
            fresh = not self._idle
            connection = self._connection(seconds=30.0) if fresh else self._idle.pop()
            try:
                status, document = self._once(connection, method, path, body, kind)
            except (OSError, HTTPException):
                connection.close()
                # The server ends idle connections, and all of them when it is restarted.
                if fresh:
                    raise
                continue
            self._idle.append(connection)
            if status >= 300:
                raise RefusedError(status, str(document.get("message")))
            return document

    def _once(self, connection: HTTPSConnection, method: str, path: str, body: Any, kind: str) -> tuple[int, Any]:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, body=sent, headers={**self._headers, "Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {"message": text.decode(errors="replace")}


class Stream:
    """An open watch: iterate over its events; `close` ends it, from another thread as well."""

    def __init__(self, connection: HTTPSConnection, answer: HTTPResponse) -> None:
        """Takes both over."""
        self._connection = connection
        self._answer = answer
        self._socket = connection.sock

    def __iter__(self) -> Iterator[Any]:
        """Yields events until either side ends the stream."""
        try:
            while line := self._answer.readline():
                yield json.loads(line)
        except (OSError, ValueError, HTTPException):
            return
        finally:
            self._answer.close()
            self._connection.close()

    def close(self) -> None:
        """Ends the stream; the iterating thread closes the socket."""
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)
