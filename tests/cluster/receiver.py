"""The receiver as a process of its own: `python -m lazaretto receiver`, on free ports of 127.0.0.1.

It counts as ready when its local copies are complete; when it is stopped, requests in progress end first. `post`
speaks as a sender does and returns status and parsed answer.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

from tests.cluster.pki import KeyPair
from tests.cluster.process import free_ports
from tests.cluster.service_process import LazarettoProcess

WEBHOOK_PATH = "/api/v1/alertmanager"
POSTED_PATH = "/api/v2/alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverTls:
    """Certificates: the server's own, who signed it, and optionally who signs clients'."""

    serving: KeyPair
    ca: Path
    client_ca: Path | None = None


class ReceiverProcess(LazarettoProcess):
    """One receiver."""

    _GRACE_SECONDS = 15.0

    def __init__(
        self,
        root: Path,
        kubeconfig: Path,
        *,
        namespace: str,
        tokens: Mapping[str, str],
        tls: ReceiverTls | None = None,
        flags: Sequence[str] = (),
        log_format: str = "text",
    ) -> None:
        """Describes the receiver; `start` starts it.

        Args:
            root: Folder of its own.
            kubeconfig: Whom it is for the API server.
            namespace: Where incidents go that no model matched.
            tokens: Bearer tokens by sender; written to `root/tokens`, where tests may change them.
            tls: Certificates; plain HTTP without.
            flags: More flags of the subcommand.
            log_format: Log lines for people (text) or for machines (json).
        """
        self.tokens = root.absolute() / "tokens"
        port, health = free_ports(2)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.health_url = f"http://127.0.0.1:{health}"
        self._tls = tls
        self._default_token = next(iter(tokens.values()), "")
        self._address = ("127.0.0.1", port)
        arguments = [
            *("--log-format", log_format, "receiver"),
            *("--listen", f"127.0.0.1:{port}", "--health-listen", f"127.0.0.1:{health}"),
            *("--tokens-dir", str(self.tokens), "--kubeconfig", str(kubeconfig), "--namespace", namespace),
            *_tls_flags(tls),
            *flags,
        ]
        super().__init__(root, name="receiver", arguments=arguments, ready_url=f"{self.health_url}/readyz")
        self.tokens.mkdir(mode=0o700, exist_ok=True)
        for sender, token in tokens.items():
            (self.tokens / sender).write_text(token)

    @property
    def webhook_url(self) -> str:
        """Where Alertmanager sends."""
        return self.url + WEBHOOK_PATH

    def post(
        self,
        payload: Any,
        *,
        path: str = WEBHOOK_PATH,
        token: str | None = None,
        client: KeyPair | None = None,
        seconds: float = 30.0,
    ) -> tuple[int, Any]:
        """Posts a payload (bytes as they are, anything else as JSON); returns status and parsed answer.

        Args:
            payload: The body.
            path: Where to.
            token: Bearer token; the first of `tokens` unless said, none when empty.
            client: Client certificate to show.
            seconds: Longest wait.
        """
        shown = self._default_token if token is None else token
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {shown}"} if shown else {})}
        connection = self._connection(client, seconds=seconds)
        try:
            body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def _connection(self, client: KeyPair | None, *, seconds: float) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(*self._address, timeout=seconds)
        context = ssl.create_default_context(cafile=self._tls.ca)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return HTTPSConnection(*self._address, timeout=seconds, context=context)


def _tls_flags(tls: ReceiverTls | None) -> list[str]:
    if tls is None:
        return []
    flags = ["--tls-cert", str(tls.serving.certificate), "--tls-key", str(tls.serving.key)]
    return [*flags, "--client-ca", str(tls.client_ca)] if tls.client_ca else flags
