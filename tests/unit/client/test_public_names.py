"""The names that programs import from the SDK: none goes, or comes, unnoticed."""

from __future__ import annotations

from gridledger import client

NAMES = """
BlockEvent ChainInfo ChaincodeEvent Checkpoint Checkpointer ClientProposal ClientTransaction
CommitError CommitStatusError ConnectionFailed ConnectionProfile Contract DigestSigner EndorseError
FileCheckpointer FoundTransaction FullBlockEvent Gateway History HistoryEntry HistoryPage Items MemoryCheckpointer
NO_RETRY
Network NodeClient
OfflineSigner
ProvedTransaction Retry Signer SigningIdentity Status SubmitError SubmittedTransaction Timeouts
TransactionError TransactionFilter TransactionVerdict TransactionsPage connect load_profile
"""


def test_the_names_are_these() -> None:
    assert sorted(client.__all__) == sorted(NAMES.split())
    assert all(hasattr(client, name) for name in NAMES.split())
