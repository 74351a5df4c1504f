"""What the receiver is told at start."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lazaretto.errors import ConfigurationError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, flag: str) -> Address:
        """Reads `host:port`, `:port` or `[v6]:port`; raises `ConfigurationError`."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or "0.0.0.0"  # noqa: S104  # said by leaving the host out
        if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ConfigurationError(f"{flag} {text!r}: write host:port, such as 0.0.0.0:8443")
        return cls(host, int(port))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything; `check` says whether it fits together."""

    listen: Address
    health: Address
    namespace: str
    """Where incidents of unmatched alerts go."""
    namespace_label: str = "namespace"
    tokens: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    insecure_http: bool = False
    largest_body: int = 4 * MIB
    most_alerts: int = 20_000
    read_seconds: float = 5.0
    header_seconds: float = 20.0
    """Time for a request's headers, counted from the connection or the answer before; also the idle time."""
    store_seconds: float = 15.0
    requests_at_once: int = 64
    bytes_at_once: int = 64 * MIB
    """Bodies that may be in memory at once, together; at least one of any permitted size always may."""
    connections: int = 512
    """With TLS each takes up to 0.3 MiB: all of them, full bodies and one being parsed fit in the pod's memory."""
    silence_seconds: float = 150.0
    """A watch that was silent for longer is not believed any more."""
    alertmanagers: tuple[str, ...] = ()
    """Base URLs of Alertmanagers that are asked for what never arrived."""
    alertmanager_filter: str = 'ai_incident="true"'
    """A matcher: which of their alerts are ours."""
    alertmanager_token: Path | None = None
    alertmanager_ca: Path | None = None
    pull_seconds: float = 10.0
    """Time between two looks at an Alertmanager. Whatever fires for two of them is taken in."""

    def check(self) -> None:
        """Raises `ConfigurationError` naming the flag."""
        if (self.certificate is None) != (self.key is None):
            raise ConfigurationError("--tls-cert and --tls-key belong together: give both or none")
        if self.client_ca is not None and self.certificate is None:
            raise ConfigurationError("--client-ca needs --tls-cert and --tls-key")
        if self.tokens is None and self.client_ca is None:
            raise ConfigurationError("nobody could be let in: give --tokens-dir, --client-ca or both")
        if self.certificate is None and not self.listen.loopback and not self.insecure_http:
            raise ConfigurationError(
                f"--listen {self.listen.host} is reachable from outside: give --tls-cert and --tls-key"
                " (or --insecure-http, where something in front does TLS)"
            )
        for url in self.alertmanagers:
            _check_url(url)
        if self.pull_seconds <= 0:
            raise ConfigurationError("--alertmanager-interval must be more than 0")
        if self.largest_body < 1024 or self.read_seconds <= 0:
            raise ConfigurationError("--max-body-bytes must be at least 1024, --read-timeout more than 0")


def _check_url(url: str) -> None:
    try:
        found = urlsplit(url)
        good = found.scheme in ("http", "https") and found.hostname and not found.username and not found.query
        shown = f"{found.scheme}://{found.hostname}"  # not all of it: there may be a password in it
    except ValueError:
        good, shown = None, "unreadable"
    if not good:
        raise ConfigurationError(
            f"--alertmanager-url {shown}: write http(s)://host[:port][/prefix], without user, password or query;"
            " a token goes into --alertmanager-token-file"
        )
