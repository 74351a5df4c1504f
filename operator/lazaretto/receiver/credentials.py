"""Says who sent a request, from its headers and connection alone.

A sender shows a bearer token or a verified client certificate. Every file of the token
folder is one token, named after the sender; several are valid at once, so a token is rotated
by adding the new one, moving the sender over, and removing the old one. Files are read again
when the folder or a file changed. The presented token is compared with all of them, in time
that does not depend on how much of it is right. A token in the URL never counts.

`sender_of` returns None for a stranger, and raises `Unavailable` when the tokens cannot be
read or there are none: then nobody can be told from anybody, and a sender should try again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from pathlib import Path

from lazaretto.errors import ConfigurationError, Unavailable

_REREAD_SECONDS = 5.0
_LARGEST_TOKEN = 4096
Signature = tuple[tuple[str, int, int], ...]


class TokenFiles:
    """The tokens of one folder."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder; raises `ConfigurationError` when it holds no token."""
        self._folder = folder
        self._digests: dict[str, bytes] = {}
        self._signature: Signature = ()
        self._read_at = 0.0
        try:
            self._read(self._look())
        except OSError as error:
            raise ConfigurationError(
                f"--tokens-dir {folder}: {error.strerror or error}; name a readable folder"
            ) from error
        if not self._digests:
            raise ConfigurationError(f"--tokens-dir {folder} holds no token: put one file a sender there")

    def sender_of(self, authorization: str) -> str | None:
        """The name of the file whose token the Authorization header shows."""
        scheme, _, presented = authorization.partition(" ")
        presented = presented.strip()
        if scheme.lower() != "bearer" or not presented:
            return None
        digest = _digest(presented.encode("utf-8", "surrogateescape"))
        sender = None
        for name, expected in self._current().items():
            if hmac.compare_digest(digest, expected):
                sender = name
        return sender

    def _current(self) -> Mapping[str, bytes]:
        try:
            signature = self._look()
            if signature != self._signature or time.monotonic() - self._read_at > _REREAD_SECONDS:
                self._read(signature)
        except OSError as error:
            raise Unavailable(0, f"tokens cannot be read: {error.strerror or error}") from error
        if not self._digests:
            raise Unavailable(0, "there are no tokens")
        return self._digests

    def _look(self) -> Signature:
        with os.scandir(self._folder) as found:
            # A mounted Secret keeps its files behind links and its versions in dotted folders.
            files = [entry for entry in found if not entry.name.startswith(".") and entry.is_file()]
            stats = [(entry.name, entry.stat()) for entry in files]
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_ino) for name, stat in stats))

    def _read(self, signature: Signature) -> None:
        digests = {}
        for name, _, _ in signature:
            with (self._folder / name).open("rb") as file:
                token = file.read(_LARGEST_TOKEN).strip()
            if token:
                digests[name] = _digest(token)
        self._digests, self._signature, self._read_at = digests, signature, time.monotonic()


def certificate_name(certificate: Mapping[str, object] | None) -> str | None:
    """The common name of a client certificate that TLS has verified; None when none was shown."""
    subject = (certificate or {}).get("subject")
    if not isinstance(subject, tuple):
        return None
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[-1] if names else "unnamed"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
