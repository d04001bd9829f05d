"""Who calls a page without TLS: any program on this machine, through a Host that is this one.

The Host is checked so that a page in a browser cannot read through a name of its own that leads to loopback.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from services.relay.errors import WrongHost

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_SHOWN: Final = 255


@dataclass(frozen=True, slots=True)
class LocalCaller:
    """Whoever is on this machine."""

    name: str = "local"

    @property
    def signer(self) -> tuple[str, str]:
        """Whose share of the page's bounds its requests count against: all callers share one."""
        return "", self.name


class PlainCallers:
    """Identifies each request to a page that listens at ``port``."""

    def __init__(self, port: int, hostnames: tuple[str, ...] = ()) -> None:
        names = [name.lower() for name in (*_LOOPBACK, *hostnames)]
        self._hosts = {*names, *(f"{name}:{port}" for name in names)}

    def identify(self, scope: MutableMapping[str, Any]) -> LocalCaller:
        """The caller; :class:`WrongHost` for a request to another name."""
        hosts = [value for key, value in scope["headers"] if key == b"host"]
        host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if host not in self._hosts:
            raise WrongHost(f"this server is not {host[:_SHOWN]!r}: call it by its own address")
        return LocalCaller()
