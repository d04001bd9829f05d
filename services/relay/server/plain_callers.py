"""Who calls a page without TLS: any program on this machine, through a Host that is this one."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from gridledger.web import OwnHost


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
        self._own_host = OwnHost(port, hostnames)

    def identify(self, scope: MutableMapping[str, Any]) -> LocalCaller:
        """The caller; :class:`~gridledger.web.WrongHost` for a request to another name."""
        self._own_host.check(scope)
        return LocalCaller()
