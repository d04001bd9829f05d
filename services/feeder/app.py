"""The little server of interactive control: on loopback only, behind a token in a file that only its owner reads."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridledger.errors import AuthenticationError
from gridledger.files import write_atomically
from gridledger.web import Limits, OwnHost, ServerSettings, WebServer, create_app
from services.feeder.routes import Answer, make_router

HOST = "127.0.0.1"
TOKEN_FILE = "control.token"  # noqa: S105 -- a file's name
_LIMITS = Limits(max_body_bytes=4096, max_requests=16, max_streams=1, max_connections=32)


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whoever has the token."""

    signer: tuple[str, str] = ("feeder", "control")


class _Callers:
    def __init__(self, port: int, token: str) -> None:
        self._own_host = OwnHost(port)
        self._token = token.encode()

    def identify(self, scope: MutableMapping[str, Any]) -> _Holder:
        """The holder of the token. The Host is checked first, so that no page in a browser can try tokens."""
        self._own_host.check(scope)
        sent = [value for key, value in scope["headers"] if key == b"authorization"]
        scheme, _, token = (sent[0] if len(sent) == 1 else b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise AuthenticationError(f"send 'Authorization: Bearer TOKEN'; the token is in {TOKEN_FILE}")
        return _Holder()


@asynccontextmanager
async def control_server(port: int, folder: Path, answer: Answer) -> AsyncIterator[Path]:
    """Serve ``answer`` at a port of loopback while the block runs; the file with the token, made anew in ``folder``."""
    token = secrets.token_urlsafe(32)
    file = folder / TOKEN_FILE
    write_atomically(file, f"{token}\n".encode(), mode=0o600)
    app = create_app("feeder", _Callers(port, token).identify, _LIMITS)
    app.include_router(make_router(answer))
    try:
        async with WebServer(app, ServerSettings(HOST, port, None)):
            yield file
    finally:
        file.unlink(missing_ok=True)
