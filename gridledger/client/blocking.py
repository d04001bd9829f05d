"""The blocking SDK, for programs without an event loop. Each call returns when it is done.

One thread runs a loop for all blocking gateways of the process; calls may come from any thread::

    with connect("out/network", user="Org1/alice") as gateway:
        contract = gateway.get_network("shard1").get_contract("dvs")
        print(contract.evaluate_transaction("GetGroup", {"group": "1"}))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gridledger.client import connecting
from gridledger.client import gateway as aio
from gridledger.client.blocking_loop import iterate, run
from gridledger.client.blocking_transactions import ClientProposal, ClientTransaction, SubmittedTransaction
from gridledger.client.checkpoints import Checkpointer
from gridledger.client.connecting import Profile
from gridledger.client.connection import Timeouts
from gridledger.client.data_frames import History, Items
from gridledger.client.pages import MAX_ITEMS
from gridledger.client.retry import Retry
from gridledger.client.signers import Signer
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, FullBlockEvent
from gridledger.protocol.headers import MAX_HEADERS, HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.search import TransactionFilter, TransactionsPage
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryPage
from gridledger.transport.pins import Dialled

__all__ = [
    "ClientProposal",
    "ClientTransaction",
    "Contract",
    "Gateway",
    "Network",
    "SubmittedTransaction",
    "connect",
]


def connect(
    profile: Profile | None = None,
    *,
    user: str | None = None,
    identity: Signer | None = None,
    tls_identity: SigningIdentity | None = None,
    timeouts: Timeouts | None = None,
    retry: Retry | None = None,
    max_connections: int = 64,
) -> Gateway:
    """Blocking form of :func:`gridledger.client.connect`."""
    return Gateway(
        run(
            connecting.connect(
                profile,
                user=user,
                identity=identity,
                tls_identity=tls_identity,
                timeouts=timeouts,
                retry=retry,
                max_connections=max_connections,
            )
        )
    )


class Gateway:
    """Blocking form of :class:`gridledger.client.Gateway`."""

    def __init__(self, inner: aio.Gateway) -> None:
        self._inner = inner

    @classmethod
    def connect(
        cls,
        urls: str | Sequence[str],
        identity: Signer,
        *,
        roots: str | Path,
        tls_identity: SigningIdentity | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        max_connections: int = 64,
    ) -> Gateway:
        """Blocking form of :meth:`gridledger.client.Gateway.connect`."""

        async def connect() -> aio.Gateway:
            return aio.Gateway.connect(
                urls,
                identity,
                roots=roots,
                tls_identity=tls_identity,
                timeouts=timeouts,
                retry=retry,
                max_connections=max_connections,
            )

        return cls(run(connect()))

    @classmethod
    def through(
        cls,
        peers: Sequence[Dialled],
        identity: Signer,
        *,
        tls_identity: SigningIdentity | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        max_connections: int = 64,
    ) -> Gateway:
        """Blocking form of :meth:`gridledger.client.Gateway.through`."""

        async def connect() -> aio.Gateway:
            return aio.Gateway.through(
                peers,
                identity,
                tls_identity=tls_identity,
                timeouts=timeouts,
                retry=retry,
                max_connections=max_connections,
            )

        return cls(run(connect()))

    def __enter__(self) -> Gateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        run(self._inner.close())

    @property
    def identity(self) -> Signer:
        """Who calls through this gateway."""
        return self._inner.identity

    @property
    def timeouts(self) -> Timeouts:
        """How long each step may take."""
        return self._inner.timeouts

    @property
    def retry(self) -> Retry:
        """What is tried again, and how often."""
        return self._inner.retry

    @property
    def urls(self) -> list[str]:
        """Where the gateways are, the preferred one first."""
        return self._inner.urls

    def get_network(self, channel: str) -> Network:
        """A channel."""
        return Network(self._inner.get_network(channel))

    def channels(self) -> list[str]:
        """See :meth:`gridledger.client.Gateway.channels`."""
        return run(self._inner.channels())

    def sequence(self, channel: str, chaincode: str, *, refresh: bool = False) -> int:
        """See :meth:`gridledger.client.Gateway.sequence`."""
        return run(self._inner.sequence(channel, chaincode, refresh=refresh))

    def new_proposal(
        self,
        channel: str,
        chaincode: str,
        function: str,
        args: tuple[Any, ...],
        *,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
    ) -> ClientProposal:
        """See :meth:`gridledger.client.Gateway.new_proposal`."""
        return ClientProposal(
            run(
                self._inner.new_proposal(
                    channel,
                    chaincode,
                    function,
                    args,
                    transient=transient,
                    endorsing_organisations=endorsing_organisations,
                )
            )
        )


class Network:
    """Blocking form of :class:`gridledger.client.Network`."""

    def __init__(self, inner: aio.Network) -> None:
        self._inner = inner
        self.channel = inner.channel

    def get_contract(self, chaincode: str) -> Contract:
        """A chaincode on this channel."""
        return Contract(self._inner.get_contract(chaincode))

    def get_chain_info(self) -> ChainInfo:
        """See :meth:`gridledger.client.Network.get_chain_info`."""
        return run(self._inner.get_chain_info())

    def get_config(self) -> ChannelConfig:
        """See :meth:`gridledger.client.Network.get_config`."""
        return run(self._inner.get_config())

    def get_block(self, number: int) -> Block:
        """See :meth:`gridledger.client.Network.get_block`."""
        return run(self._inner.get_block(number))

    def get_opened_block(self, number: int) -> dict[str, Any]:
        """See :meth:`gridledger.client.Network.get_opened_block`."""
        return run(self._inner.get_opened_block(number))

    def get_block_by_hash(self, block_hash: str) -> Block:
        """See :meth:`gridledger.client.Network.get_block_by_hash`."""
        return run(self._inner.get_block_by_hash(block_hash))

    def search_transactions(
        self, wanted: TransactionFilter | None = None, *, limit: int = 50, bookmark: str | None = None
    ) -> TransactionsPage:
        """See :meth:`gridledger.client.Network.search_transactions`."""
        return run(self._inner.search_transactions(wanted, limit=limit, bookmark=bookmark))

    def find_transactions(self, prefix: str, *, limit: int = 50, bookmark: str | None = None) -> TransactionsPage:
        """See :meth:`gridledger.client.Network.find_transactions`."""
        return run(self._inner.find_transactions(prefix, limit=limit, bookmark=bookmark))

    def get_headers(self, start: int = 0, *, limit: int = MAX_HEADERS) -> HeadersPage:
        """See :meth:`gridledger.client.Network.get_headers`."""
        return run(self._inner.get_headers(start, limit=limit))

    def get_transaction(self, tx_id: str) -> ProvedTransaction:
        """See :meth:`gridledger.client.Network.get_transaction`."""
        return run(self._inner.get_transaction(tx_id))

    def get_history(self, chaincode: str, key: str, *, limit: int = 100) -> History:
        """See :meth:`gridledger.client.Network.get_history`."""
        return run(self._inner.get_history(chaincode, key, limit=limit))

    def get_history_page(
        self, chaincode: str, key: str, *, limit: int = 100, bookmark: str | None = None
    ) -> HistoryPage:
        """See :meth:`gridledger.client.Network.get_history_page`."""
        return run(self._inner.get_history_page(chaincode, key, limit=limit, bookmark=bookmark))

    history = get_history

    def get_status(self, tx_id: str, *, wait_s: float = 0.0) -> Status:
        """See :meth:`gridledger.client.Network.get_status`."""
        return run(self._inner.get_status(tx_id, wait_s=wait_s))

    def chaincode_events(
        self,
        chaincode: str,
        *,
        start_block: int | None = None,
        name: str | None = None,
        checkpointer: Checkpointer | None = None,
    ) -> Iterator[ChaincodeEvent]:
        """Events as they come. Waits while there is none. Close the iterator to stop."""
        return iterate(
            self._inner.chaincode_events(chaincode, start_block=start_block, name=name, checkpointer=checkpointer)
        )

    def block_events(
        self, *, start_block: int | None = None, checkpointer: Checkpointer | None = None
    ) -> Iterator[BlockEvent]:
        """Blocks as they come. Waits while there is none. Close the iterator to stop."""
        return iterate(self._inner.block_events(start_block=start_block, checkpointer=checkpointer))

    def full_block_events(
        self, *, start_block: int | None = None, checkpointer: Checkpointer | None = None
    ) -> Iterator[FullBlockEvent]:
        """Blocks with their envelopes as they come. Waits while there is none. Close the iterator to stop."""
        return iterate(self._inner.full_block_events(start_block=start_block, checkpointer=checkpointer))


class Contract:
    """Blocking form of :class:`gridledger.client.Contract`."""

    def __init__(self, inner: aio.Contract) -> None:
        self._inner = inner
        self.channel = inner.channel
        self.chaincode = inner.chaincode

    def submit_transaction(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> Any:
        """See :meth:`gridledger.client.Contract.submit_transaction`."""
        return run(
            self._inner.submit_transaction(
                function,
                *args,
                transient=transient,
                endorsing_organisations=endorsing_organisations,
                timeouts=timeouts,
                retry=retry,
            )
        )

    def submit_with_status(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> tuple[Any, Status]:
        """See :meth:`gridledger.client.Contract.submit_with_status`."""
        return run(
            self._inner.submit_with_status(
                function,
                *args,
                transient=transient,
                endorsing_organisations=endorsing_organisations,
                timeouts=timeouts,
                retry=retry,
            )
        )

    def evaluate_transaction(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> Any:
        """See :meth:`gridledger.client.Contract.evaluate_transaction`."""
        return run(
            self._inner.evaluate_transaction(function, *args, transient=transient, timeouts=timeouts, retry=retry)
        )

    def collect(
        self,
        function: str,
        argument: Mapping[str, Any] | None = None,
        *,
        max_items: int = MAX_ITEMS,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> Items:
        """See :meth:`gridledger.client.Contract.collect`."""
        return run(self._inner.collect(function, argument, max_items=max_items, timeouts=timeouts, retry=retry))

    def new_proposal(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
    ) -> ClientProposal:
        """See :meth:`gridledger.client.Contract.new_proposal`."""
        return ClientProposal(
            run(
                self._inner.new_proposal(
                    function, *args, transient=transient, endorsing_organisations=endorsing_organisations
                )
            )
        )
