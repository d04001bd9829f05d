"""The SDK's entry: connect to a gateway, get a network (a channel), get a contract, call it.

The names are fabric-gateway's in snake_case::

    identity = SigningIdentity.load("organisations/Org1/users/alice")
    async with Gateway.connect("https://127.0.0.1:7151", identity, roots="roots.pem") as gateway:
        contract = gateway.get_network("shard1").get_contract("dvs")
        result = await contract.submit_transaction("ComputeVSI", frame)
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gridledger.client.checkpoints import Checkpointer
from gridledger.client.connection import GatewayConnection, Timeouts
from gridledger.client.errors import CommitError, EndorseError
from gridledger.client.events import block_events, chaincode_events
from gridledger.client.queries import (
    read_block,
    read_chain_info,
    read_config,
    read_history,
    read_status,
    read_transaction,
)
from gridledger.client.transactions import ClientProposal, check_committed
from gridledger.errors import SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.events import BlockEvent, ChaincodeEvent
from gridledger.protocol.fields import to_base64
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryEntry
from gridledger.transport.node_client import NodeClient

_T = TypeVar("_T")
_NONCE_BYTES = 24
_CONFLICTS = frozenset((TxValidationCode.MVCC_READ_CONFLICT, TxValidationCode.PHANTOM_READ_CONFLICT))


class Gateway:
    """One identity's connection to one peer's gateway. Make it with :meth:`connect`, use it in one event loop.

    ``clock_us`` gives microseconds since 1970, ``nonce`` fresh random hexadecimal digits; tests replace them.
    """

    def __init__(
        self,
        node: NodeClient,
        identity: SigningIdentity,
        *,
        timeouts: Timeouts | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        nonce: Callable[[], str] = lambda: secrets.token_hex(_NONCE_BYTES),
    ) -> None:
        self._connection = GatewayConnection(node, identity, timeouts or Timeouts())
        self._clock_us = clock_us
        self._nonce = nonce
        self._creator = to_base64(identity.certificate.der)
        self._sequences: dict[tuple[str, str], int] = {}

    @classmethod
    def connect(
        cls,
        url: str,
        identity: SigningIdentity,
        *,
        roots: str | Path,
        timeouts: Timeouts | None = None,
        max_connections: int = 64,
    ) -> Gateway:
        """A gateway at ``url``. ``roots`` are the root certificates to trust: a PEM text, or the path of a bundle.

        Connections open when they are first needed.
        """
        node = NodeClient(url, identity, read_roots(roots), max_connections=max_connections)
        return cls(node, identity, timeouts=timeouts)

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    @property
    def identity(self) -> SigningIdentity:
        """Who calls through this gateway."""
        return self._connection.identity

    @property
    def timeouts(self) -> Timeouts:
        """How long each step may take."""
        return self._connection.timeouts

    @property
    def node(self) -> NodeClient:
        """The connection to the gateway's peer."""
        return self._connection.node

    def get_network(self, channel: str) -> Network:
        """A channel; fabric-gateway calls it a network."""
        return Network(self, channel)

    async def channels(self) -> list[str]:
        """Names of the channels that the gateway's peer is on."""
        answer = await self.node.get_json("/channels")
        return [str(name) for name in answer["channels"]]

    async def sequence(self, channel: str, chaincode: str, *, refresh: bool = False) -> int:
        """The sequence of a chaincode's definition, which a proposal names. Asked for once and then kept."""
        key = (channel, chaincode)
        if refresh or key not in self._sequences:
            definition = await self.node.get_json(f"/channels/{channel}/chaincodes/{chaincode}")
            self._sequences[key] = int(definition["sequence"])
        return self._sequences[key]

    async def new_proposal(
        self,
        channel: str,
        chaincode: str,
        function: str,
        args: tuple[Any, ...],
        transient: Mapping[str, Any] | None = None,
    ) -> ClientProposal:
        """A signed proposal with a fresh nonce and the present time."""
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
        signature = self.identity.sign(proposal.text.encode())
        return ClientProposal(self._connection, SignedProposal(proposal, signature, transient))


class Network:
    """One channel as seen through a gateway."""

    def __init__(self, gateway: Gateway, channel: str) -> None:
        self._gateway = gateway
        self.channel = channel

    def get_contract(self, chaincode: str) -> Contract:
        """A chaincode on this channel."""
        return Contract(self._gateway, self.channel, chaincode)

    async def get_chain_info(self) -> ChainInfo:
        """How far the channel is on the gateway's peer: height, hashes, counts."""
        return await read_chain_info(self._gateway.node, self.channel)

    async def get_config(self) -> ChannelConfig:
        """The channel's present configuration: organisations, nodes, policies, chaincodes."""
        return await read_config(self._gateway.node, self.channel)

    async def get_block(self, number: int) -> Block:
        """A block with its header and envelopes. Its data hash is verified."""
        return await read_block(self._gateway.node, self.channel, number)

    async def get_transaction(self, tx_id: str) -> ProvedTransaction:
        """A transaction with its validation code. Its Merkle proof is verified against its block's header."""
        return await read_transaction(self._gateway.node, self.channel, tx_id)

    async def get_history(self, chaincode: str, key: str) -> list[HistoryEntry]:
        """All committed writes of a key, the newest first."""
        return await read_history(self._gateway.node, self.channel, chaincode, key)

    async def get_status(self, tx_id: str, *, wait_s: float = 0.0) -> Status:
        """A transaction's status, waiting up to ``wait_s`` seconds for its commit."""
        timeout_s = wait_s + self._gateway.timeouts.evaluate_s
        return await read_status(self._gateway.node, self.channel, tx_id, wait_s=wait_s, timeout_s=timeout_s)

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
            self._gateway.node, self.channel, chaincode, start_block=start_block, name=name, checkpointer=checkpointer
        )

    def block_events(
        self, *, start_block: int | None = None, checkpointer: Checkpointer | None = None
    ) -> AsyncIterator[BlockEvent]:
        """Blocks with the status of each transaction, from ``start_block`` on (default: from now on)."""
        return block_events(self._gateway.node, self.channel, start_block=start_block, checkpointer=checkpointer)


class Contract:
    """One chaincode on one channel."""

    def __init__(self, gateway: Gateway, channel: str, chaincode: str) -> None:
        self._gateway = gateway
        self.channel = channel
        self.chaincode = chaincode

    async def submit_transaction(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        retry_on_conflict: bool = False,
    ) -> Any:
        """Endorse, order and commit. Returns the payload once the commit is durable on the gateway's peer.

        With ``retry_on_conflict`` a transaction that lost to a concurrent one (MVCC or phantom read conflict) is made
        anew once; allow it where the function may run twice. Raises :class:`EndorseError`, :class:`SubmitError` and
        :class:`CommitError`.
        """
        payload, _ = await self.submit_with_status(
            function, *args, transient=transient, retry_on_conflict=retry_on_conflict
        )
        return payload

    async def submit_with_status(
        self,
        function: str,
        *args: Any,
        transient: Mapping[str, Any] | None = None,
        retry_on_conflict: bool = False,
    ) -> tuple[Any, Status]:
        """As :meth:`submit_transaction`; returns the payload and the transaction's status."""
        try:
            return await self._submit_once(function, args, transient)
        except CommitError as error:
            if not retry_on_conflict or error.validation_code not in _CONFLICTS:
                raise
        return await self._submit_once(function, args, transient)

    async def evaluate_transaction(self, function: str, *args: Any, transient: Mapping[str, Any] | None = None) -> Any:
        """Run a function on one peer and return its payload. Nothing is ordered. Raises :class:`EndorseError`."""
        return await self._with_proposal(ClientProposal.evaluate, function, args, transient)

    async def new_proposal(
        self, function: str, *args: Any, transient: Mapping[str, Any] | None = None
    ) -> ClientProposal:
        """A signed proposal, for a program that takes each step itself."""
        return await self._gateway.new_proposal(self.channel, self.chaincode, function, args, transient)

    async def _submit_once(
        self, function: str, args: tuple[Any, ...], transient: Mapping[str, Any] | None
    ) -> tuple[Any, Status]:
        transaction = await self._with_proposal(ClientProposal.endorse, function, args, transient)
        status = await transaction.submit_and_wait()
        check_committed(status)
        return transaction.result, status

    async def _with_proposal(
        self,
        step: Callable[[ClientProposal], Awaitable[_T]],
        function: str,
        args: tuple[Any, ...],
        transient: Mapping[str, Any] | None,
    ) -> _T:
        """Take a step with a new proposal."""
        try:
            return await step(await self.new_proposal(function, *args, transient=transient))
        except EndorseError as error:
            if error.code != "CHAINCODE_SEQUENCE":
                raise
        # The chaincode's definition has changed since we asked for it. Nothing was endorsed: ask again, propose again.
        await self._gateway.sequence(self.channel, self.chaincode, refresh=True)
        return await step(await self.new_proposal(function, *args, transient=transient))


def read_roots(roots: str | Path) -> str:
    """Root certificates as PEM, from a text or a file; :class:`SettingsError` where the file cannot be read."""
    if isinstance(roots, str) and roots.lstrip().startswith("-----BEGIN"):
        return roots
    try:
        return Path(roots).read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"cannot read the root certificates {roots}: {error.strerror}") from None
