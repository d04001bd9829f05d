"""What the page's routes tell: the chains, the nodes, the latest captures, how this server is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from services.relay.server.capture_queries import CaptureQueries
from services.relay.server.chains import Chains
from services.relay.server.collectors import Collectors
from services.relay.server.nodes import Nodes

MAX_RELAYS_SHOWN: Final = 50
_FIRST_LOOK_BACK: Final = 1440
_SHOWN: Final = 10
"""Captures on the page for people, of all relays together; each has one at least."""


class View:
    """One server's view. ``max_page`` bounds blocks and captures of one answer."""

    def __init__(
        self,
        server: str,
        ledger: CaptureQueries,
        collectors: Collectors,
        *,
        chains: Chains,
        nodes: Nodes,
        max_page: int,
    ) -> None:
        self.server = server
        self.max_page = max_page
        self._ledger = ledger
        self._collectors = collectors
        self._chains = chains
        self._nodes = nodes

    async def get_chain(self, relay: str | None, first: int, limit: int) -> dict[str, Any]:
        """The article's document of a relay: the whole chain's length, and blocks from index ``first`` on."""
        chain = self._chains.of(relay)
        blocks = await chain.blocks(first, min(limit, self.max_page))
        return {"1_length": chain.length, "2_chain": blocks}

    async def is_valid(self, relay: str | None, first: int | None, limit: int) -> dict[str, Any]:
        """Whether blocks of a relay's chain hold; without ``first`` the newest ones."""
        chain = self._chains.of(relay)
        count = min(limit, self.max_page)
        begin = max(1, chain.length - count + 1) if first is None else first
        return await chain.check(begin, count)

    async def nodes(self) -> dict[str, Any]:
        """This server's state, and who of the others is up."""
        nodes = await self._nodes.states()
        passed_over = self._collectors.passed_over
        return {"server": self.server, "relays": self._states(), "passed_over": passed_over, "nodes": nodes}

    async def latest(self, relay: str | None, limit: int) -> dict[str, Any]:
        """The latest captures of one relay or of all that this server reads, the newest first."""
        names = [relay] if relay is not None else list(self._collectors.records)[:MAX_RELAYS_SHOWN]
        share = max(1, min(limit, self.max_page) // max(1, len(names)))
        return {"relays": list(await asyncio.gather(*(self._latest_of(name, share) for name in names)))}

    async def summary(self) -> dict[str, list[dict[str, Any]]]:
        """What the page for people shows, as the arguments of :func:`~services.relay.server.page.page`."""
        latest, nodes = await asyncio.gather(self.latest(None, _SHOWN), self._nodes.states())
        return {
            "relays": [await self._with_voices(relay) for relay in latest["relays"]],
            "nodes": nodes,
            "chains": self._chains.summary(),
            "states": self._states(),
            "passed_over": self._collectors.passed_over,
        }

    async def _with_voices(self, relay: dict[str, Any]) -> dict[str, Any]:
        """A relay's captures with what each server said of them."""
        asked = (self._ledger.get_capture(relay["relay"], item["minute"]) for item in relay["captures"])
        told = await asyncio.gather(*asked)
        voices = [{name: one[name] for name in ("attestations", "verdict")} for one in told]
        captures = [item | voice for item, voice in zip(relay["captures"], voices, strict=True)]
        return relay | {"captures": captures}

    def health(self) -> Mapping[str, Any]:
        """For ``/healthz``: a server that waits for its ledger or its relay is well."""
        return {"status": "ok", "server": self.server, "relays": len(self._collectors.records)}

    def _states(self) -> list[dict[str, Any]]:
        working = {collector.relay: collector for collector in self._collectors}
        return [
            {
                "relay": relay,
                "newest": working[relay].newest if relay in working else None,
                "spool": working[relay].spooled if relay in working else None,
                "fault": working[relay].fault if relay in working else "starting",
            }
            for relay in self._collectors.records
        ]

    async def _latest_of(self, relay: str, limit: int) -> dict[str, Any]:
        record = await self._ledger.get_relay(relay)
        collector = self._collectors.get(relay)
        known = [
            minute
            for minute in (self._chains.newest(relay), None if collector is None else collector.newest)
            if minute is not None
        ]
        items: list[dict[str, Any]] = []
        if known:
            period, newest = record["period_s"] // 60, max(known)
            first = max(0, newest - limit * period + 1)
            page = await self._ledger.list_captures(
                relay, first, newest + _FIRST_LOOK_BACK, limit=limit + 10, texts=True
            )
            items = page["items"][-limit:][::-1]
        about = {name: record[name] for name in ("relay", "name", "substation", "silence")}
        return {**about, "captures": items}
