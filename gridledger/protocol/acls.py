"""Which policy admits to what: each thing that a node is asked for is a resource, under Fabric's name where it has one.

A channel's configuration may give a resource another policy in ``acls``; what it does not name has its default here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridledger.errors import MalformedMessage
from gridledger.protocol.config_policies import POLICY_PATHS

READERS: Final = "/Channel/Readers"
APPLICATION_READERS: Final = "/Channel/Application/Readers"
APPLICATION_WRITERS: Final = "/Channel/Application/Writers"

PROPOSE: Final = "peer/Propose"
BROADCAST: Final = "orderer/Broadcast"
DELIVER: Final = "orderer/Deliver"
CHAIN_INFO: Final = "qscc/GetChainInfo"
BLOCK_BY_NUMBER: Final = "qscc/GetBlockByNumber"
TRANSACTION_BY_ID: Final = "qscc/GetTransactionByID"
CHANNEL_CONFIG: Final = "cscc/GetChannelConfig"
CHAINCODE_DEFINITION: Final = "_lifecycle/QueryChaincodeDefinition"
BLOCK_EVENTS: Final = "event/Block"
FILTERED_BLOCK_EVENTS: Final = "event/FilteredBlock"
EVALUATE: Final = "gateway/Evaluate"
SUBMIT: Final = "gateway/Submit"
SUBMIT_CONFIG: Final = "gateway/SubmitConfig"
COMMIT_STATUS: Final = "gateway/CommitStatus"
CHAINCODE_EVENTS: Final = "gateway/ChaincodeEvents"
PEERS: Final = "discovery/Peers"
HISTORY: Final = "history/GetHistoryForKey"

DEFAULT_ACLS: Final[Mapping[str, str]] = {
    PROPOSE: APPLICATION_WRITERS,
    BROADCAST: "/Channel/Writers",
    DELIVER: APPLICATION_READERS,  # not the observers: they read at peers
    CHAIN_INFO: READERS,
    BLOCK_BY_NUMBER: READERS,
    TRANSACTION_BY_ID: READERS,
    CHANNEL_CONFIG: READERS,
    CHAINCODE_DEFINITION: READERS,
    BLOCK_EVENTS: READERS,
    FILTERED_BLOCK_EVENTS: READERS,
    EVALUATE: READERS,
    SUBMIT: APPLICATION_WRITERS,
    SUBMIT_CONFIG: READERS,  # what it may change stands under its signatures
    COMMIT_STATUS: READERS,
    CHAINCODE_EVENTS: READERS,
    PEERS: READERS,
    HISTORY: READERS,
}
"""Every resource that a node asks about, and the policy that admits to it."""


def read_acls(value: Any) -> dict[str, str]:
    """A configuration's ``acls``: known resources, and policies that the channel has. Another name would be a lock that
    no door has."""
    if not isinstance(value, dict) or not value:
        raise MalformedMessage("'acls' must name one resource at least; a channel without has no such member")
    for resource, path in value.items():
        if resource not in DEFAULT_ACLS:
            raise MalformedMessage(
                f"'acls' names {resource!r:.80}, which no node asks about; there are: {', '.join(sorted(DEFAULT_ACLS))}"
            )
        if not isinstance(path, str) or path not in POLICY_PATHS:
            raise MalformedMessage(
                f"'acls' gives {resource} the policy {path!r:.80}; there are: {', '.join(sorted(POLICY_PATHS))}"
            )
    return dict(sorted(value.items()))
