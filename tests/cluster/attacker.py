"""Somebody who reaches the receiver's TLS port and sends what no Alertmanager would: bytes as they are, slowly, often.

`bounded` asks the kernel how much memory the receiver took at its worst, which bounds an attack without a clock.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster.receiver import WEBHOOK_PATH, ReceiverProcess
from tests.cluster.receiver_stories import TOKENS

MIB = 1024 * 1024
JSON_TYPE = "Content-Type: application/json"
CLOSING = "Connection: close"
ROOM = 64 * MIB
"""What no attack may make the receiver grow by, unless it is one on the parser, which takes a body many times over."""
TOKEN = TOKENS["alertmanager"]


def head(*lines: str, path: str = WEBHOOK_PATH, method: str = "POST", token: str = TOKEN) -> bytes:
    """A request's head with a token that counts, none when empty."""
    shown = [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: receiver", *lines, *shown, "", ""]).encode()


def request(body: bytes, *lines: str) -> bytes:
    """A whole request with JSON in it."""
    return head(JSON_TYPE, f"Content-Length: {len(body)}", *lines) + body


def chunk(body: bytes) -> bytes:
    """One chunk of a body of unknown length."""
    return b"%x\r\n%s\r\n" % (len(body), body)


def statuses(answer: bytes) -> list[int]:
    """The status of each answer in what came back."""
    return [int(found) for found in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer, re.MULTILINE)]


class Attacker:
    """See the module's text; with `ca`, the authority of the receiver's certificate."""

    def __init__(self, receiver: ReceiverProcess, *, ca: Path) -> None:
        """Knows where the receiver is."""
        host, _, port = receiver.url.rpartition("//")[2].rpartition(":")
        self.address = (host, int(port))
        self._context = ssl.create_default_context(cafile=ca)

    def connect(self, *, seconds: float = 30.0) -> socket.socket:
        """A connection without TLS."""
        return socket.create_connection(self.address, timeout=seconds)

    def open(self, *, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection with TLS."""
        return (context or self._context).wrap_socket(self.connect(), server_hostname=self.address[0])

    def exchange(self, data: bytes) -> bytes:
        """Sends bytes, and nothing more, and returns everything up to the end of the connection."""
        with self.open() as connection:
            with suppress(OSError):  # it need not want to hear all of it
                connection.sendall(data)
            return rest(connection)


def rest(connection: socket.socket) -> bytes:
    """Everything up to the end of a connection, however it ends; `TimeoutError` if it does not."""
    found = b""
    try:
        while more := connection.recv(65536):
            found += more
    except TimeoutError:
        raise
    except OSError:
        pass
    return found


@contextmanager
def bounded(receiver: ReceiverProcess, *, grows: int = ROOM) -> Iterator[None]:
    """Fails unless the receiver lives on, its memory having grown by no more than `grows` bytes at any moment."""
    pid = receiver.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
    before = memory(pid, "VmRSS")
    yield
    assert receiver.ready
    assert receiver.pid == pid
    grown = memory(pid, "VmHWM") - before
    print(f"memory: {before / MIB:.0f} MiB, at most {grown / MIB:.1f} MiB more")
    assert grown <= grows, f"the receiver grew by {grown / MIB:.1f} MiB"


def memory(pid: int, field: str) -> int:
    """A figure of the process in bytes: VmRSS is what it has now, VmHWM the most it had."""
    (found,) = re.findall(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found) * 1024
