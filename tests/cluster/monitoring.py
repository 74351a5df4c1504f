"""Prometheus and Alertmanager on 127.0.0.1, each in one folder of its own, with settings quick enough for tests.

Both are the real programs. Data, logs and generated configuration lie beneath the given root. A configuration that
the program refuses shows in the `ProcessFailedError` that `start` raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.cluster.binaries import binary
from tests.cluster.process import free_ports
from tests.cluster.service_process import ServiceProcess


class MonitoringServer(ServiceProcess):
    """What both servers have in common; use one of the two below."""

    def __init__(self, root: Path, *, program: str, flags: Mapping[str, object], port: int = 0) -> None:
        """Describes the server; `start` starts it. Without a port it takes a free one."""
        port = port or free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        rendered = [f"--{name}={value}" for name, value in flags.items()]
        super().__init__(
            root,
            name=program,
            argv=[str(binary(program)), f"--web.listen-address=127.0.0.1:{port}", *rendered],
            ready_url=f"{self.url}/-/ready",
            memory_mib=512,
        )

    def call(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """Sends one request to the server's API and returns the parsed JSON answer, None when it is empty."""
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, body=sent, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise self._child.failure(f"answered {method} {path} with {answer.status}: {text.strip()}")
        return json.loads(text) if text.strip() else None


class Prometheus(MonitoringServer):
    """One Prometheus server."""

    def __init__(
        self,
        root: Path,
        *,
        config: str | Path | None = None,
        targets: Mapping[str, Sequence[str]] | None = None,
        rules: Sequence[Path] = (),
        alertmanagers: Sequence[str] = (),
        interval_seconds: float = 1.0,
        resend_seconds: float = 1.0,
        port: int = 0,
    ) -> None:
        """Describes the server.

        Args:
            root: Folder of its own.
            config: Configuration as text or file; then `targets`, `rules`, `alertmanagers` and
                `interval_seconds` must be left alone.
            targets: Scraped `host:port` addresses by job name.
            rules: Rule files.
            alertmanagers: Base URLs that receive the alerts.
            interval_seconds: Time between scrapes and between evaluations.
            resend_seconds: Least time until a firing alert is sent again.
            port: Where it listens; a free port unless given.
        """
        if config is not None and (targets or rules or alertmanagers):
            raise ValueError("give either config, or targets, rules and alertmanagers")
        file = _configuration(
            root,
            name="prometheus.yml",
            given=config
            or _prometheus(targets or {}, rules=rules, alertmanagers=alertmanagers, interval_seconds=interval_seconds),
        )
        flags: dict[str, object] = {
            "config.file": file,
            "storage.tsdb.path": root.absolute() / "data",
            "storage.tsdb.retention.time": "6h",
            "rules.alert.resend-delay": f"{resend_seconds:g}s",
            # Otherwise the first scrape comes 5 s after the start.
            "scrape.discovery-reload-interval": "500ms",
            "log.level": "warn",
        }
        super().__init__(root, program="prometheus", flags=flags, port=port)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Returns the result of an instant query: one entry a series, with `metric` and `value`."""
        answer = self.call(f"/api/v1/query?query={quote(expression)}")
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def alerts(self) -> list[dict[str, Any]]:
        """Returns the pending and firing alerts."""
        result: list[dict[str, Any]] = self.call("/api/v1/alerts")["data"]["alerts"]
        return result


class Alertmanager(MonitoringServer):
    """One Alertmanager, without peers."""

    def __init__(
        self,
        root: Path,
        *,
        config: str | Path | None = None,
        receiver_url: str | None = None,
        group_by: Sequence[str] = ("...",),
        group_wait: str = "0s",
        group_interval: str = "1s",
        repeat_interval: str = "1m",
    ) -> None:
        """Describes the server.

        Args:
            root: Folder of its own.
            config: Configuration as text or file; excludes `receiver_url`.
            receiver_url: Webhook that receives everything, grouped and timed by the rest of the arguments.
            group_by: Labels; `...` means each alert by itself.
            group_wait: Time before a new group's first notification.
            group_interval: Time before a changed group's next one.
            repeat_interval: Time before an unchanged group's next one.
        """
        if (config is None) == (receiver_url is None):
            raise ValueError("give either config or receiver_url")
        generated = {
            "route": {
                "receiver": "webhook",
                "group_by": list(group_by),
                "group_wait": group_wait,
                "group_interval": group_interval,
                "repeat_interval": repeat_interval,
            },
            "receivers": [{"name": "webhook", "webhook_configs": [{"url": receiver_url, "send_resolved": True}]}],
        }
        flags: dict[str, object] = {
            "config.file": _configuration(root, name="alertmanager.yml", given=config or json.dumps(generated)),
            "storage.path": root.absolute() / "data",
            "cluster.listen-address": "",
            "log.level": "warn",
        }
        super().__init__(root, program="alertmanager", flags=flags)

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Hands alerts in, in the form of Alertmanager's API v2 (`labels`, `annotations`, `endsAt`, …)."""
        self.call("/api/v2/alerts", method="POST", body=list(alerts))

    def alerts(self) -> list[dict[str, Any]]:
        """Returns the active alerts."""
        result: list[dict[str, Any]] = self.call("/api/v2/alerts")
        return result


def _prometheus(
    targets: Mapping[str, Sequence[str]],
    *,
    rules: Sequence[Path],
    alertmanagers: Sequence[str],
    interval_seconds: float,
) -> str:
    interval = f"{round(interval_seconds * 1000)}ms"
    jobs = [{"job_name": job, "static_configs": [{"targets": list(each)}]} for job, each in targets.items()]
    receivers = [urlsplit(url) for url in alertmanagers]
    return json.dumps(
        {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [str(path.absolute()) for path in rules],
            "scrape_configs": jobs,
            "alerting": {
                "alertmanagers": [
                    {
                        "scheme": each.scheme,
                        "path_prefix": each.path or "/",
                        "static_configs": [{"targets": [each.netloc]}],
                    }
                    for each in receivers
                ]
            },
        },
        indent=1,
    )


def _configuration(root: Path, *, name: str, given: str | Path) -> Path:
    if isinstance(given, Path):
        return given.absolute()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = root.absolute() / name
    path.write_text(given)
    return path
