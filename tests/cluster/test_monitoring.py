"""Proves the way of an alert through the real Prometheus and Alertmanager to a webhook."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.monitoring import Alertmanager, Prometheus
from tests.cluster.process import ProcessFailedError

pytestmark = pytest.mark.monitoring

RULES = {
    "groups": [
        {
            "name": "models",
            "rules": [{"alert": "ModelPoisoned", "expr": "vector(1) > 0", "labels": {"ai_model": "chat"}}],
        }
    ]
}


@contextmanager
def webhook() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """Yields the URL of a server that accepts every POST, and the queue of what it was sent."""
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", received
    finally:
        server.shutdown()
        server.server_close()


def test_alert_travels_from_rule_to_webhook(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps(RULES))
    with (
        webhook() as (url, received),
        Alertmanager(tmp_path / "alertmanager", receiver_url=url) as alertmanager,
        Prometheus(tmp_path / "prometheus", rules=[rules], alertmanagers=[alertmanager.url]) as prometheus,
    ):
        message = received.get(timeout=60)
        assert message["version"] == "4"
        assert message["status"] == "firing"
        assert message["alerts"][0]["labels"] == {"alertname": "ModelPoisoned", "ai_model": "chat"}
        assert [alert["labels"]["alertname"] for alert in alertmanager.alerts()] == ["ModelPoisoned"]
        assert [alert["state"] for alert in prometheus.alerts()] == ["firing"]


def test_prometheus_scrapes_its_targets(tmp_path: Path) -> None:
    with Alertmanager(tmp_path / "alertmanager", receiver_url="http://127.0.0.1:1/") as target:
        host = target.url.removeprefix("http://")
        with Prometheus(tmp_path / "prometheus", targets={"alertmanager": [host]}) as prometheus:
            for _ in range(100):
                if found := prometheus.query('up{job="alertmanager"} == 1'):
                    break
                threading.Event().wait(0.1)
            assert found[0]["metric"]["instance"] == host


def test_posted_alert_reaches_the_webhook_and_is_forgotten_by_a_restart(tmp_path: Path) -> None:
    with webhook() as (url, received), Alertmanager(tmp_path / "alertmanager", receiver_url=url) as alertmanager:
        alertmanager.post([{"labels": {"alertname": "Posted"}}])
        assert received.get(timeout=60)["groupLabels"] == {"alertname": "Posted"}
        alertmanager.kill()
        alertmanager.start()
        assert alertmanager.alerts() == []


def test_refused_configuration_is_told(tmp_path: Path) -> None:
    server = Alertmanager(tmp_path / "alertmanager", config="route: {receiver: nobody}\n")
    with pytest.raises(ProcessFailedError, match=r"(?s)alertmanager ended with status 1.*undefined receiver"):
        server.start()


def test_configuration_and_shortcuts_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either config"):
        Prometheus(tmp_path, config="{}", targets={"a": ["b:1"]})
    with pytest.raises(ValueError, match="either config"):
        Alertmanager(tmp_path)
