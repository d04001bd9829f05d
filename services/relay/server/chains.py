"""The article's chain of each relay that a server follows. A relay has a chain of its own, the same at every server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

from gridledger.errors import NotFoundError, UnavailableError
from services.relay.server.chain_form import ChainForm

_log = logging.getLogger(__name__)


class Chains:
    """Chains by relay, each growing by itself. ``make`` gives a relay's chain."""

    def __init__(self, make: Callable[[str], ChainForm]) -> None:
        self._make = make
        self._forms: dict[str, ChainForm] = {}
        self._growing: dict[str, asyncio.Task[None]] = {}

    def follow(self, relays: Collection[str]) -> None:
        """Grow the chains of these relays, and no others."""
        for relay in self._forms.keys() - set(relays):
            del self._forms[relay]
            self._growing.pop(relay).cancel()
        for relay in set(relays) - self._forms.keys():
            form = self._forms[relay] = self._make(relay)
            self._growing[relay] = asyncio.get_running_loop().create_task(_grow(relay, form))

    def of(self, relay: str | None) -> ChainForm:
        """A relay's chain; without ``relay`` the first one's by id, of mostly one."""
        if not self._forms:
            raise UnavailableError(
                "no chain is known yet: this server follows no relay, or the ledger has not answered"
            )
        form = self._forms.get(min(self._forms) if relay is None else relay)
        if form is None:
            raise NotFoundError(f"this server does not follow {relay}; it follows: {', '.join(sorted(self._forms))}")
        return form

    def newest(self, relay: str) -> int | None:
        """The newest confirmed minute of a relay."""
        form = self._forms.get(relay)
        return None if form is None else form.newest

    def summary(self) -> list[dict[str, Any]]:
        """Each chain: {relay, length, fault}."""
        return [
            {"relay": relay, "length": form.length, "fault": form.fault} for relay, form in sorted(self._forms.items())
        ]

    async def aclose(self) -> None:
        """Stop growing, and close the files."""
        tasks = list(self._growing.values())
        self.follow(())
        await asyncio.gather(*tasks, return_exceptions=True)


async def _grow(relay: str, form: ChainForm) -> None:
    try:
        await form.run()
    except Exception:
        form.fault = "it does not grow any more: this server's log says why"
        _log.exception("a relay's chain does not grow any more", extra={"relay": relay})
        raise
    finally:
        form.close()
