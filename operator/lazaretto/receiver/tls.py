"""The server's side of TLS, with files that may change while it runs.

Certificates are rotated by replacing files, and a receiver that must be restarted for it is
one that is not. `current` always holds the last files that fitted together; the listening
socket hands each new connection over to it. Files that do not fit (half of a rotation, say)
are logged and left for the next look. Established connections keep what they were made with.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from lazaretto.errors import ConfigurationError

_log = logging.getLogger(__name__)


class ServerTls:
    """TLS from files: certificate and key, and optionally the authority that signs client certificates."""

    def __init__(self, *, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Loads the files; raises `ConfigurationError` when they do not fit."""
        self._files = [certificate, key, *([client_ca] if client_ca else [])]
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        try:
            self._seen = self._look()
            self.current = self._load()
            self.listening = self._load()
        except (OSError, ValueError) as error:
            names = ", ".join(str(file) for file in self._files)
            raise ConfigurationError(f"TLS files {names}: {error}; give PEM files that belong together") from error
        self.listening.sni_callback = self._hand_over

    def refresh(self) -> bool:
        """Load the files again if one changed; True when new ones are in use."""
        try:
            seen = self._look()
            if seen == self._seen:
                return False
            self.current = self._load()
        except (OSError, ValueError) as error:
            _log.error("TLS files not taken over, the former ones stay in use: %s", error)
            return False
        self._seen = seen
        _log.info("TLS files taken over")
        return True

    def _hand_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self.current

    def _look(self) -> tuple[tuple[int, int], ...]:
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in (file.stat() for file in self._files))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A resumed session would carry over a client that the present authority does not know.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        context.load_cert_chain(self._certificate, self._key)
        if self._client_ca is not None:
            context.load_verify_locations(cafile=self._client_ca)
            # Who shows none may still have a token; who has neither is told so in HTTP.
            context.verify_mode = ssl.CERT_OPTIONAL
        return context
