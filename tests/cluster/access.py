"""A way into one Kubernetes cluster: its kubeconfig, and kubectl beneath it.

`ClusterAccess` works for any cluster, including one that somebody else runs; `ControlPlane` extends it by what
only the owner of a cluster can do. Calls of kubectl see nothing of the caller's own configuration. A call that
kubectl ends with an error raises `KubectlError`, whose `stderr` is what kubectl said.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.binaries import binary
from tests.cluster.waiting import until

Document = Mapping[str, Any]

_KUBECTL_SECONDS = 120
_TOKEN_LIFETIME = "24h"
FIELD_OWNER = "lazaretto-tests"


class KubectlError(RuntimeError):
    """kubectl ended with an error.

    Attributes:
        stderr: What kubectl said, the server's message included.
    """

    def __init__(self, arguments: Sequence[str], *, status: int, stderr: str) -> None:
        """Describes the call that failed."""
        super().__init__(f"kubectl {' '.join(arguments)} ended with status {status}: {stderr.strip()}")
        self.stderr = stderr


class ClusterAccess:
    """One cluster as its kubeconfig's user sees it."""

    def __init__(self, kubeconfig: Path, *, folder: Path, context: str = "") -> None:
        """Uses `kubeconfig`, in `context` unless that is empty; `folder` takes the files that calls make."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.kubeconfig = kubeconfig
        self._context = context
        self._folder = folder
        self._kubectl: Path | None = None

    @property
    def url(self) -> str:
        """The API server's base URL."""
        return str(self._entry()["server"])

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the API server's certificate."""
        entry = self._entry()
        if "certificate-authority" in entry:
            return Path(entry["certificate-authority"])
        path = self._folder / "server-ca.crt"
        path.write_bytes(base64.b64decode(entry["certificate-authority-data"]))
        return path

    def kubectl(self, *arguments: str, as_user: str | None = None, input: str | None = None) -> str:
        """Runs kubectl and returns its standard output.

        Args:
            *arguments: As on the command line.
            as_user: Impersonated user; the server decides by that user's rights.
            input: Standard input, for `-f -`.
        """
        self._kubectl = self._kubectl or binary("kubectl")
        command = [str(self._kubectl), *arguments]
        command += [f"--context={self._context}"] if self._context else []
        command += [f"--as={as_user}"] if as_user else []
        done = subprocess.run(
            command,
            input=input,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_KUBECTL_SECONDS,
        )
        if done.returncode != 0:
            raise KubectlError(arguments, status=done.returncode, stderr=done.stderr)
        return done.stdout

    def get(self, *arguments: str, as_user: str | None = None) -> Any:
        """Runs `kubectl get <arguments> -o json` and returns the parsed object or list."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", as_user=as_user))

    def apply(self, *sources: Path | str | Document, namespace: str | None = None, as_user: str | None = None) -> None:
        """Applies all sources in their order, server-side.

        Args:
            *sources: A file or folder (`Path`), YAML text (`str`) or one object (a mapping).
            namespace: For objects that name none.
            as_user: Impersonated user.
        """
        command = ["apply", "--server-side", "--force-conflicts", f"--field-manager={FIELD_OWNER}"]
        command += [f"--namespace={namespace}"] if namespace else []
        # Files that follow each other go in one call: a call costs more than a file.
        for of_files, group in groupby(sources, key=lambda source: isinstance(source, Path)):
            if of_files:
                self.kubectl(*command, *(f"--filename={path}" for path in group), as_user=as_user)
                continue
            for document in group:
                text = document if isinstance(document, str) else json.dumps(document)
                self.kubectl(*command, "--filename=-", as_user=as_user, input=text)

    def apply_folder(self, folder: Path) -> None:
        """Applies a Kustomize folder, and waits until the server serves the kinds that it defines."""
        self.apply_definitions(self.kubectl("kustomize", str(folder)))

    def apply_definitions(self, *sources: Path | str | Document) -> None:
        """Applies CustomResourceDefinitions and waits until the server serves their kinds."""
        self.apply(*sources)
        until(self._all_established, what="all kinds are served")

    def _all_established(self) -> bool:
        try:
            self.kubectl("wait", "--for=condition=Established", "--timeout=90s", "crd", "--all")
        except KubectlError as error:
            # One that was stored a moment ago may have no conditions yet, which kubectl takes for an error.
            if "accessor error" not in str(error):
                raise
            return False
        return True

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Returns a kubeconfig with a fresh token of the ServiceAccount, which must exist."""
        token = self.kubectl("create", "token", name, "-n", namespace, f"--duration={_TOKEN_LIFETIME}").strip()
        path = self._folder / f"serviceaccount-{namespace}-{name}.kubeconfig"
        return self.write_kubeconfig(path, user=name, credentials={"token": token})

    def write_kubeconfig(self, path: Path, *, user: str, credentials: Mapping[str, str]) -> Path:
        """Writes a kubeconfig for this cluster with the given credentials and returns its path."""
        return write_kubeconfig(path, server=self.url, ca_file=self.ca_file, user=user, credentials=credentials)

    def healthy(self, path: str = "/readyz") -> bool:
        """Whether the API server answers `path` with 200 to an anonymous request."""
        return answers(self.url + path, ca_file=self.ca_file)

    def _entry(self) -> dict[str, Any]:
        arguments = ["config", "view", "--minify", "--raw", "--flatten", "-o", "json"]
        cluster: dict[str, Any] = json.loads(self.kubectl(*arguments))["clusters"][0]["cluster"]
        return cluster

    def _environment(self) -> dict[str, str]:
        # The caller's KUBECONFIG, home and proxies stay out; plug-ins of a foreign context need PATH.
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "KUBECACHEDIR": str(self._folder / "kubectl-cache"),
            "KUBECONFIG": str(self.kubeconfig),
        }


def write_kubeconfig(path: Path, *, server: str, ca_file: Path, user: str, credentials: Mapping[str, str]) -> Path:
    """Writes a kubeconfig of one context, named `lazaretto-test`, and returns its path."""
    name = "lazaretto-test"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": str(ca_file)}}],
        "users": [{"name": user, "user": dict(credentials)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
    }
    # JSON is YAML, and needs no library to write.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file, indent=1)
    return path


def answers(url: str, *, ca_file: Path | None = None) -> bool:
    """Whether a GET of `url` is answered by 200; without `ca_file` any certificate will do.

    The latter is for servers of our own on 127.0.0.1 that make a certificate up at each start.
    """
    parts = urlsplit(url)
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        if ca_file is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=5, context=context)
    else:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
