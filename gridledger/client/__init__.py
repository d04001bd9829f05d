"""The SDK: :func:`connect` and ``Gateway`` for asyncio; :mod:`gridledger.client.blocking` for programs without a loop.

The CA's client is :class:`gridledger.client.ca.CAClient`, kept apart because only it needs httpx.
"""

from __future__ import annotations

from gridledger.client.checkpoints import Checkpoint, Checkpointer, FileCheckpointer, MemoryCheckpointer
from gridledger.client.connecting import connect
from gridledger.client.connection import Timeouts
from gridledger.client.data_frames import History, Items
from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError, TransactionError
from gridledger.client.gateway import Contract, Gateway, Network
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.client.retry import NO_RETRY, Retry
from gridledger.client.signers import DigestSigner, OfflineSigner, Signer
from gridledger.client.transactions import ClientProposal, ClientTransaction, SubmittedTransaction
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, FullBlockEvent
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.search import FoundTransaction, TransactionFilter, TransactionsPage
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryEntry, HistoryPage
from gridledger.transport.node_client import ConnectionFailed, NodeClient

TransactionVerdict = Status
"""The name by which programs know the type of ``BlockEvent.transactions``."""

__all__ = [
    "NO_RETRY",
    "BlockEvent",
    "ChainInfo",
    "ChaincodeEvent",
    "Checkpoint",
    "Checkpointer",
    "ClientProposal",
    "ClientTransaction",
    "CommitError",
    "CommitStatusError",
    "ConnectionFailed",
    "ConnectionProfile",
    "Contract",
    "DigestSigner",
    "EndorseError",
    "FileCheckpointer",
    "FoundTransaction",
    "FullBlockEvent",
    "Gateway",
    "History",
    "HistoryEntry",
    "HistoryPage",
    "Items",
    "MemoryCheckpointer",
    "Network",
    "NodeClient",
    "OfflineSigner",
    "ProvedTransaction",
    "Retry",
    "Signer",
    "SigningIdentity",
    "Status",
    "SubmitError",
    "SubmittedTransaction",
    "Timeouts",
    "TransactionError",
    "TransactionFilter",
    "TransactionVerdict",
    "TransactionsPage",
    "connect",
    "load_profile",
]
