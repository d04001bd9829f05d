"""The queries about captures that several parts of a server make."""

from __future__ import annotations

from typing import Any, Protocol


class CaptureQueries(Protocol):
    """What is asked of the ledger; :class:`services.relay.ledger.RelayLedger` answers."""

    async def get_relay(self, relay: str) -> dict[str, Any]:
        """GetRelay."""

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        """GetCapture."""

    async def list_captures(
        self,
        relay: str,
        first: int,
        end: int,
        *,
        limit: int | None = None,
        bookmark: str | None = None,
        texts: bool | None = None,
    ) -> dict[str, Any]:
        """ListCaptures."""
