"""The desk's own peer: the only one whose word the desk takes, for blocks, codes and cases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from gridledger.client import Network
from gridledger.client.application import Answer
from gridledger.protocol.events import FullBlockEvent
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.transaction_status import Status


class CaseBook(Protocol):
    """What the desk asks its peer about cases. Errors are the SDK's."""

    @property
    def channel(self) -> str:
        """The channel of the cases."""

    @property
    def chaincode(self) -> str:
        """Their contract."""

    async def status(self, tx_id: str, wait_s: float) -> Status:
        """A transaction's status, waiting for its commit."""

    async def transaction(self, tx_id: str) -> ProvedTransaction:
        """A transaction that was committed."""

    async def case(self, name: str) -> Answer:
        """GetCase."""


class PeersCaseBook:
    """As :class:`CaseBook`, of a peer."""

    def __init__(self, network: Network, chaincode: str) -> None:
        self._network = network
        self._contract = network.get_contract(chaincode)
        self.channel = network.channel
        self.chaincode = chaincode

    async def status(self, tx_id: str, wait_s: float) -> Status:
        """As :class:`CaseBook`."""
        return await self._network.get_status(tx_id, wait_s=wait_s)

    async def transaction(self, tx_id: str) -> ProvedTransaction:
        """As :class:`CaseBook`."""
        return await self._network.get_transaction(tx_id)

    async def case(self, name: str) -> Answer:
        """As :class:`CaseBook`."""
        answer: Answer = await self._contract.evaluate_transaction("GetCase", {"case": name})
        return answer


class Chain(Protocol):
    """What the index is filled from: one channel of the peer."""

    async def get_headers(self, start: int = 0, *, limit: int = ...) -> HeadersPage:
        """Headers of consecutive blocks, with the peer's height."""

    def full_block_events(self, *, start_block: int | None = None) -> AsyncIterator[FullBlockEvent]:
        """Blocks from there on, with their codes."""


Chains = Mapping[str, Chain]
"""The peer's channels by name."""
