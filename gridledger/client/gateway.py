"""The SDK's entry: connect to a gateway, get a network (a channel), get a contract, call it.

The names are fabric-gateway's in snake_case::

    identity = SigningIdentity.load("organisations/Org1/users/alice")
    async with Gateway.connect("https://127.0.0.1:7151", identity, roots="roots.pem") as gateway:
        contract = gateway.get_network("shard1").get_contract("dvs")
        result = await contract.submit_transaction("ComputeVSI", frame)
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gridledger.client.checkpoints import Checkpointer
from gridledger.client.connection import GatewayConnection, Timeouts
from gridledger.client.data_frames import History, Items
from gridledger.client.errors import EndorseError
from gridledger.client.events import block_events, chaincode_events, full_block_events
from gridledger.client.failover import Gateways
from gridledger.client.pages import MAX_ITEMS as MAX_PAGED_ITEMS
from gridledger.client.pages import all_items
from gridledger.client.profile import read_roots
from gridledger.client.queries import (
    MAX_ITEMS,
    find_transactions,
    read_block,
    read_block_by_hash,
    read_chain_info,
    read_config,
    read_definition,
    read_headers,
    read_history_page,
    read_opened_block,
    read_status,
    read_transaction,
    search_transactions,
)
from gridledger.client.retry import Retry
from gridledger.client.session import Session
from gridledger.client.signers import Signer
from gridledger.client.transactions import ClientProposal, ClientTransaction, check_committed
from gridledger.errors import SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, FullBlockEvent
from gridledger.protocol.fields import integer_of, list_of, object_of, to_base64
from gridledger.protocol.headers import MAX_HEADERS, HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.search import TransactionFilter, TransactionsPage
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import MAX_HISTORY, HistoryPage
from gridledger.transport.node_client import NodeClient
from gridledger.transport.pins import Dialled

_T = TypeVar("_T")
_NONCE_BYTES = 24
_CONFLICTS = frozenset((TxValidationCode.MVCC_READ_CONFLICT, TxValidationCode.PHANTOM_READ_CONFLICT))


class Gateway:
    """One identity's way to a network, through one gateway or several. Make it with :meth:`connect` or
    :func:`gridledger.client.connect`, use it in one event loop.

    ``clock_us`` gives microseconds since 1970, ``nonce`` fresh random hexadecimal digits; tests replace them.
    """

    def __init__(
        self,
        session: Session,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        nonce: Callable[[], str] = lambda: secrets.token_hex(_NONCE_BYTES),
    ) -> None:
        self._session = session
        self._clock_us = clock_us
        self._nonce = nonce
        self._creator = to_base64(session.signer.certificate.der)
        self._sequences: dict[tuple[str, str], int] = {}

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
        """The gateway at a URL, or several of which the first one that is well is used.

        ``roots`` are the root certificates to trust, whichever of their organisations' nodes answers: a PEM text, or
        the path of a bundle. ``max_connections`` bounds
        the connections to each gateway; they open when they are first needed. A signer other than a
        :class:`SigningIdentity` needs a ``tls_identity`` beside it, since Python's TLS wants its key in a file: one of
        the same MSP id and subject, or one that the channel's config names as a forwarder.
        """
        every = (urls,) if isinstance(urls, str) else tuple(dict.fromkeys(urls))
        pem = read_roots(roots)
        return cls.through(
            [Dialled(url, pem, None) for url in every],
            identity,
            tls_identity=tls_identity,
            timeouts=timeouts,
            retry=retry,
            max_connections=max_connections,
        )

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
        """As :meth:`connect`, at peers that a connection profile tells how to reach, each with what its certificate
        must be (:meth:`ConnectionProfile.way_to`)."""
        shown = tls_identity or identity
        if not isinstance(shown, SigningIdentity):
            raise SettingsError("a signer whose key is in no file needs a tls_identity beside it, for TLS")
        nodes = [NodeClient.to(peer, shown, max_connections=max_connections) for peer in peers]
        members = [GatewayConnection(node, watched=len(nodes) > 1) for node in nodes]
        return cls(Session(Gateways(members), identity, timeouts=timeouts, retry=retry))

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.gateways.close()

    @property
    def identity(self) -> Signer:
        """Who signs what goes through this gateway."""
        return self._session.signer

    @property
    def timeouts(self) -> Timeouts:
        """How long each step may take."""
        return self._session.timeouts

    @property
    def retry(self) -> Retry:
        """What is tried again, and how often."""
        return self._session.retry

    @property
    def urls(self) -> list[str]:
        """Where the gateways are, the preferred one first."""
        return [member.node.base_url for member in self._session.gateways.members]

    @property
    def node(self) -> NodeClient:
        """The connection to the peer whose gateway is in use."""
        gateways = self._session.gateways
        return (gateways.best() or gateways.members[0]).node

    def get_network(self, channel: str) -> Network:
        """A channel; fabric-gateway calls it a network."""
        return Network(self, self._session, channel)

    async def channels(self) -> list[str]:
        """Names of the channels that the gateways' peers are on, of those that answer."""

        async def ask(node: NodeClient) -> list[str]:
            answer = await node.get_json("/channels", timeout_s=self.timeouts.evaluate_s)
            names = list_of(object_of(answer, "a list of channels"), "channels", max_length=MAX_ITEMS)
            return [str(name) for name in names]

        answers = await self._session.gateways.read_all(ask)
        return sorted({name for names in answers for name in names})

    async def sequence(self, channel: str, chaincode: str, *, refresh: bool = False) -> int:
        """The sequence of a chaincode's definition, which a proposal names. Asked for once and then kept."""
        key = (channel, chaincode)
        if refresh or key not in self._sequences:
            definition = await self._session.read(channel, read_definition, chaincode)
            self._sequences[key] = integer_of(definition, "sequence", minimum=1)
        return self._sequences[key]

    async def new_proposal(
        self,
        channel: str,
        chaincode: str,
        function: str,
        args: tuple[Any, ...],
        *,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
    ) -> ClientProposal:
        """A proposal with a fresh nonce and the present time; signed, unless the signatures come from elsewhere."""
        proposal = Proposal.build(
            channel=channel,
            chaincode=chaincode,
            sequence=await self.sequence(channel, chaincode),
            function=function,
            args=args,
            creator=self._creator,
            nonce=self._nonce(),
            time_us=self._clock_us(),
            transient=transient,
        )
        signature = await self._session.signature(proposal.text.encode())
        return ClientProposal(
            self._session, proposal, signature, transient=transient, organisations=endorsing_organisations
        )


class Network:
    """One channel as seen through a gateway."""

    def __init__(self, gateway: Gateway, session: Session, channel: str) -> None:
        self._gateway = gateway
        self._session = session
        self.channel = channel

    def get_contract(self, chaincode: str) -> Contract:
        """A chaincode on this channel."""
        return Contract(self._gateway, self._session, self.channel, chaincode)

    async def get_chain_info(self) -> ChainInfo:
        """How far the channel is on the gateway's peer: height, hashes, counts."""
        return await self._session.read(self.channel, read_chain_info)

    async def get_config(self) -> ChannelConfig:
        """The channel's present configuration: organisations, nodes, policies, chaincodes."""
        return await self._session.read(self.channel, read_config)

    async def get_block(self, number: int) -> Block:
        """A block with its header and envelopes. Its data hash is verified."""
        return await self._session.read(self.channel, read_block, number)

    async def get_opened_block(self, number: int) -> dict[str, Any]:
        """A block as the gateway's peer tells it, opened: with the codes and the parts of each envelope as JSON values.
        Nothing of it is verified."""
        return await self._session.read(self.channel, read_opened_block, number)

    async def get_block_by_hash(self, block_hash: str) -> Block:
        """The block whose header has this hash (64 hexadecimal digits). Its data hash is verified."""
        return await self._session.read(self.channel, read_block_by_hash, block_hash)

    async def search_transactions(
        self, wanted: TransactionFilter | None = None, *, limit: int = 50, bookmark: str | None = None
    ) -> TransactionsPage:
        """A page of the transactions that fit ``wanted`` (None: of all), the newest first, valid or not.

        At most ``limit`` (up to 1,000). A page may have fewer, none even, and a ``bookmark``, with which the same
        search goes on: a peer has a bound on what it looks at for one page. What is told of a transaction is the peer's
        word; :meth:`get_transaction` verifies one.
        """
        asked = wanted or TransactionFilter()
        return await self._session.read(self.channel, search_transactions, asked, limit=limit, bookmark=bookmark)

    async def find_transactions(self, prefix: str, *, limit: int = 50, bookmark: str | None = None) -> TransactionsPage:
        """A page of the transactions whose ids begin with ``prefix`` (1 to 64 hexadecimal digits), in the order of the
        ids."""
        return await self._session.read(self.channel, find_transactions, prefix, limit=limit, bookmark=bookmark)

    async def get_headers(self, start: int = 0, *, limit: int = MAX_HEADERS) -> HeadersPage:
        """Headers of consecutive blocks from ``start`` on, without their transactions, and the peer's height.

        At most ``limit``, and as many as the peer puts on a page. Each names the one before it by its hash.
        """
        return await self._session.read(self.channel, read_headers, start, limit=limit)

    async def get_transaction(self, tx_id: str) -> ProvedTransaction:
        """A transaction with its validation code. Its Merkle proof is verified against its block's header."""
        return await self._session.read(self.channel, read_transaction, tx_id)

    async def get_history(self, chaincode: str, key: str, *, limit: int = 100) -> History:
        """The newest ``limit`` committed writes of a key, the newest first. ``to_frame()`` of it is a pandas data
        frame."""
        history, bookmark = History(), None
        while len(history) < limit:
            most = min(limit - len(history), MAX_HISTORY)
            page = await self.get_history_page(chaincode, key, limit=most, bookmark=bookmark)
            history += page.items[:most]
            bookmark = page.bookmark
            if bookmark is None or not page.items:
                break
        return history

    async def get_history_page(
        self, chaincode: str, key: str, *, limit: int = 100, bookmark: str | None = None
    ) -> HistoryPage:
        """A page of the committed writes of a key, the newest first: at most ``limit`` (up to 1,000), from behind the
        ``bookmark`` of the page before on."""
        return await self._session.read(self.channel, read_history_page, chaincode, key, limit=limit, bookmark=bookmark)

    history = get_history

    async def get_status(self, tx_id: str, *, wait_s: float = 0.0) -> Status:
        """A transaction's status, waiting up to ``wait_s`` seconds for its commit."""
        timeout_s = wait_s + self._session.timeouts.evaluate_s
        return await self._session.read(self.channel, read_status, tx_id, wait_s=wait_s, timeout_s=timeout_s)

    def chaincode_events(
        self,
        chaincode: str,
        *,
        start_block: int | None = None,
        name: str | None = None,
        checkpointer: Checkpointer | None = None,
    ) -> AsyncIterator[ChaincodeEvent]:
        """Events of valid transactions from ``start_block`` on (default: from now on). Reconnects by itself.

        With a checkpointer that holds a checkpoint the stream continues after the last event that it was told of.
        """
        return chaincode_events(
            self._session.gateways,
            self.channel,
            chaincode,
            start_block=start_block,
            name=name,
            checkpointer=checkpointer,
        )

    def block_events(
        self, *, start_block: int | None = None, checkpointer: Checkpointer | None = None
    ) -> AsyncIterator[BlockEvent]:
        """Blocks with the status of each transaction, from ``start_block`` on (default: from now on)."""
        return block_events(self._session.gateways, self.channel, start_block=start_block, checkpointer=checkpointer)

    def full_block_events(
        self, *, start_block: int | None = None, checkpointer: Checkpointer | None = None
    ) -> AsyncIterator[FullBlockEvent]:
        """Blocks with their envelopes, from ``start_block`` on (default: from now on). Each data hash is verified; one
        block is held at a time."""
        gateways = self._session.gateways
        return full_block_events(gateways, self.channel, start_block=start_block, checkpointer=checkpointer)


class Contract:
    """One chaincode on one channel. ``timeouts`` and ``retry`` of a call come in place of the gateway's."""

    def __init__(self, gateway: Gateway, session: Session, channel: str, chaincode: str) -> None:
        self._gateway = gateway
        self._session = session
        self.channel = channel
        self.chaincode = chaincode

    async def submit_transaction(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> Any:
        """Endorse, order and commit. Returns the payload once the commit is durable on the gateway's peer.

        ``endorsing_organisations`` are MSP ids: only peers of these endorse. Raises :class:`EndorseError`,
        :class:`SubmitError` and :class:`CommitError`.
        """
        payload, _ = await self.submit_with_status(
            function,
            *args,
            transient=transient,
            endorsing_organisations=endorsing_organisations,
            timeouts=timeouts,
            retry=retry,
        )
        return payload

    async def submit_with_status(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> tuple[Any, Status]:
        """As :meth:`submit_transaction`; returns the payload and the transaction's status."""
        times, attempts = timeouts or self._session.timeouts, self._session.attempts(retry)

        def endorse(proposal: ClientProposal) -> Coroutine[Any, Any, ClientTransaction]:
            return proposal.endorse(timeout_s=times.endorse_s, retry=attempts)

        while True:
            transaction = await self._with_proposal(endorse, function, args, transient, endorsing_organisations)
            status = await transaction.submit_and_wait(timeout_s=times.commit_status_s, retry=attempts)
            if status.successful:
                return transaction.result, status
            pause_s = attempts.after_conflict() if status.code in _CONFLICTS else None
            if pause_s is None:
                check_committed(status)
            else:
                await asyncio.sleep(pause_s)

    async def evaluate_transaction(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> Any:
        """Run a function on one peer and return its payload. Nothing is ordered. Raises :class:`EndorseError`."""
        times, attempts = timeouts or self._session.timeouts, self._session.attempts(retry)

        def evaluate(proposal: ClientProposal) -> Coroutine[Any, Any, Any]:
            return proposal.evaluate(timeout_s=times.evaluate_s, retry=attempts)

        return await self._with_proposal(evaluate, function, args, transient)

    async def collect(
        self,
        function: str,
        argument: Mapping[str, Any] | None = None,
        *,
        max_items: int = MAX_PAGED_ITEMS,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
    ) -> Items:
        """All items of a paged query. ``to_frame()`` of them is a pandas data frame.

        The function takes one object, with ``bookmark`` in it from the second page on, and answers
        ``{"items", "bookmark"}``, null at the end. Raises InputError where it answers otherwise, or has more than
        ``max_items``.
        """

        async def ask(page: dict[str, Any]) -> Any:
            return await self.evaluate_transaction(function, page, timeouts=timeouts, retry=retry)

        return await all_items(ask, function, argument or {}, max_items)

    async def new_proposal(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        endorsing_organisations: Sequence[str] | None = None,
    ) -> ClientProposal:
        """A proposal, for a program that takes each step itself."""
        return await self._gateway.new_proposal(
            self.channel,
            self.chaincode,
            function,
            args,
            transient=transient,
            endorsing_organisations=endorsing_organisations,
        )

    async def _with_proposal(
        self,
        step: Callable[[ClientProposal], Coroutine[Any, Any, _T]],
        function: str,
        args: tuple[Any, ...],
        transient: Mapping[str, Any] | None,
        organisations: Sequence[str] | None = None,
    ) -> _T:
        """Take a step with a new proposal."""
        new = partial(
            self._gateway.new_proposal,
            self.channel,
            self.chaincode,
            function,
            args,
            transient=transient,
            endorsing_organisations=organisations,
        )
        try:
            return await step(await new())
        except EndorseError as error:
            if error.code != "CHAINCODE_SEQUENCE":
                raise
        # The chaincode's definition has changed since we asked for it. Nothing was endorsed: ask again, propose again.
        await self._gateway.sequence(self.channel, self.chaincode, refresh=True)
        return await step(await new())
