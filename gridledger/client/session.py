"""A session: who calls, through which gateways, and how patiently."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from gridledger.client.connection import Timeouts
from gridledger.client.failover import Gateways
from gridledger.client.retry import NO_RETRY, Attempts, Retry
from gridledger.client.signers import Signer, signature_of
from gridledger.transport.node_client import NodeClient

_P = ParamSpec("_P")
_T = TypeVar("_T")
LONGEST_READ_S = 120.0
"""All gateways together answer a query within this time. Each request to one has a time-out of its own."""


class Session:
    """What every step of a transaction needs. ``timeouts`` and ``retry`` hold where a call names no others."""

    def __init__(
        self,
        gateways: Gateways,
        signer: Signer,
        *,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.gateways = gateways
        self.signer = signer
        self.timeouts = timeouts or Timeouts()
        self.retry = retry or NO_RETRY

    async def signature(self, message: bytes) -> bytes | None:
        """The client's signature; None where it is brought from elsewhere."""
        return await signature_of(self.signer, message, self.timeouts.endorse_s)

    def attempts(self, retry: Retry | Attempts | None = None) -> Attempts:
        """The attempts of a call that begins now, or those left of a call that this one is a step of."""
        if isinstance(retry, Attempts):
            return retry
        return Attempts(retry or self.retry, self.gateways.clock, self.gateways.random)

    async def read(
        self,
        channel: str,
        query: Callable[Concatenate[NodeClient, str, _P], Coroutine[Any, Any, _T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """What a query of :mod:`gridledger.client.queries` about a channel gives, by any gateway."""

        def ask(node: NodeClient) -> Coroutine[Any, Any, _T]:
            return query(node, channel, *args, **kwargs)

        return await self.gateways.read(channel, ask, LONGEST_READ_S)
