"""etcd as those know it who run it, through its own HTTP gateway: how full it is, and how room is made again."""

from __future__ import annotations

import base64
import json
import ssl
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.control_plane import ControlPlane
from tests.cluster.waiting import until

_BYTES_AT_ONCE = 2**20
_FILLER = b"filler/"
_AFTER_FILLER = b"filler0"
"""The end of the range of keys that begin with it."""


class Etcd:
    """The store of a control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        """Asks under the API server's own certificate."""
        self._address = urlsplit(plane.etcd_url)
        self._tls = ssl.create_default_context(cafile=plane.ca_file)
        self._tls.load_cert_chain(plane.etcd_client.certificate, plane.etcd_client.key)

    def fill(self) -> int:
        """Writes until nothing more can be written, by anybody; returns how many MiB that took."""
        value, number = _text(b"x" * _BYTES_AT_ONCE), 0
        while "space exceeded" not in self._ask("kv/put", key=_text(_FILLER + b"%d" % number), value=value)[1]:
            number += 1
        until(self.alarms, what="etcd raises its alarm")
        return number

    def make_room(self) -> None:
        """What its manual says: delete, compact, defragment, and take the alarm back."""
        self._done("kv/deleterange", key=_text(_FILLER), range_end=_text(_AFTER_FILLER))
        newest = self._done("kv/range", key=_text(_FILLER))["header"]["revision"]
        self._done("kv/compaction", revision=newest, physical=True)
        self._done("maintenance/defragment")
        for alarm in self.alarms():
            self._done("maintenance/alarm", action="DEACTIVATE", memberID=alarm["memberID"], alarm=alarm["alarm"])

    def alarms(self) -> list[dict[str, str]]:
        """Those that stand."""
        found: list[dict[str, str]] = self._done("maintenance/alarm", action="GET").get("alarms", [])
        return found

    def _done(self, what: str, **arguments: Any) -> Any:
        status, text = self._ask(what, **arguments)
        assert status == 200, f"{what}: {status} {text}"
        return json.loads(text)

    def _ask(self, what: str, **arguments: Any) -> tuple[int, str]:
        connection = HTTPSConnection(self._address.hostname or "", self._address.port, timeout=60, context=self._tls)
        try:
            connection.request("POST", f"/v3/{what}", body=json.dumps(arguments))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
