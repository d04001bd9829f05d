"""Who calls the bridge: a client with a token, through a Host that is the bridge's own."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gridledger.web import OwnHost
from services.rest.settings import RestSettings
from services.rest.tokens import Tokens

Scope: TypeAlias = MutableMapping[str, Any]
"""A request as ASGI has it."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the bridge, and the names of the identities that it may act as, the usual one first."""

    name: str
    identities: tuple[str, ...]

    @property
    def signer(self) -> tuple[str, str]:
        """Whose share of the bridge's bounds its requests count against: each token's own."""
        return self.name, self.name


class Callers:
    """Identifies each request. The Host is checked first, so that no page in a browser can try tokens."""

    def __init__(self, settings: RestSettings, tokens: Tokens) -> None:
        self._tokens = tokens
        self._all = tuple(settings.identities)
        self._of_client = settings.clients
        self._own_host = OwnHost(settings.port, (settings.host, *settings.hostnames))

    def identify(self, scope: Scope) -> Client:
        """The client that sends a request; raises :class:`~gridledger.web.WrongHost` and :class:`TokenRequired`."""
        self._own_host.check(scope)
        name = self._tokens.client(_header(scope, b"authorization"))
        return Client(name, self._of_client.get(name, self._all))


def _header(scope: Scope, name: bytes) -> str:
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else ""
