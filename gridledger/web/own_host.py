"""The Host header of a service that answers without client certificates.

It is checked so that no page in a browser reaches the service through a name of its own that leads to this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gridledger.web.errors import WrongHost

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_SHOWN: Final = 255


class OwnHost:
    """The names under which a service at ``port`` is called: those of loopback, and ``names``; without ``loopback`` the
    latter alone, and the port beside them."""

    def __init__(self, port: int, names: Iterable[str] = (), *, loopback: bool = True) -> None:
        known = [name.lower() for name in ((*_LOOPBACK, *names) if loopback else names)]
        self._hosts = {*(known if loopback else ()), *(f"{name}:{port}" for name in known)}

    def check(self, scope: Mapping[str, Any]) -> None:
        """Raise :class:`WrongHost` unless a request (as ASGI has it) names this service, once."""
        hosts = [value for key, value in scope["headers"] if key == b"host"]
        host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if host not in self._hosts:
            raise WrongHost(
                f"this service is not {host[:_SHOWN]!r}: call it by its own address, or add it to hostnames"
            )
