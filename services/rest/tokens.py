"""Clients of the bridge, each known by the bearer token in a file of its own.

A file is written to add a client and deleted to lock it out; both hold from the next request on. On loopback the
bridge makes a token for the client ``default`` where there is none.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from hashlib import sha256
from pathlib import Path

from gridledger.errors import SettingsError
from gridledger.files import write_atomically
from services.rest.errors import TokenRequired

DEFAULT_CLIENT = "default"
SHORTEST_TOKEN = 32
MAX_CLIENTS = 1000
_MAX_TOKEN_BYTES = 1024

_log = logging.getLogger(__name__)


class Tokens:
    """The tokens in a folder. Only their hashes are kept in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self._clients: dict[bytes, str] = {}

    def open(self, *, on_loopback: bool) -> None:
        """Read the folder; :class:`SettingsError` where a token cannot be used, or a remote bridge has none."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if on_loopback and not any(self._folder.iterdir()):
            token = secrets.token_urlsafe(SHORTEST_TOKEN)
            write_atomically(self._folder / DEFAULT_CLIENT, f"{token}\n".encode(), mode=0o600)
        unusable = self._read()
        if unusable:
            raise SettingsError(
                f"the token of {unusable[0]} in {self._folder} is shorter than {SHORTEST_TOKEN} characters"
            )
        if not self._clients:
            raise SettingsError(f"no client has a token: write one into {self._folder}/CLIENT (openssl rand -hex 32)")

    def client(self, authorization: str) -> str:
        """The client that sends this Authorization header; :class:`TokenRequired` where nobody does."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRequired(f"send 'Authorization: Bearer TOKEN'; tokens are in {self._folder.name}/")
        self._read()
        digest = _digest(token.strip())
        found = ""
        for known, client in self._clients.items():
            if hmac.compare_digest(known, digest):
                found = client
        if not found:
            raise TokenRequired("no client has this token")
        return found

    def _read(self) -> list[str]:
        """Read the files anew where one was added, changed or deleted; the clients whose token cannot be used."""
        files = sorted(file for file in self._folder.iterdir() if file.is_file() and file.name[0] != ".")[:MAX_CLIENTS]
        seen = tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if seen == self._seen:
            return []
        clients, unusable = {}, []
        for file in files:
            token = file.read_bytes()[:_MAX_TOKEN_BYTES].decode("utf-8", "replace").strip()
            if len(token) < SHORTEST_TOKEN:
                _log.warning("a client's token is too short to be used", extra={"client": file.name})
                unusable.append(file.name)
                continue
            clients[_digest(token)] = file.name
        self._seen, self._clients = seen, clients
        return unusable


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
