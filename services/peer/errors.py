"""The peer's errors, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import (
    BusyError,
    ConflictError,
    GridLedgerError,
    InputError,
    NotFoundError,
    TimeoutExceeded,
    UnavailableError,
)


class ChaincodeUnknown(NotFoundError):
    """The channel has no such chaincode."""

    code = "CHAINCODE_UNKNOWN"


class ChaincodeSequence(ConflictError):
    """The proposal names another definition of the chaincode than the channel has now; ``current`` is its sequence."""

    code = "CHAINCODE_SEQUENCE"


class ChaincodeNotInstalled(UnavailableError):
    """The chaincode's package is not on this peer; an admin of its organisation posts it to /packages."""

    code = "CHAINCODE_NOT_INSTALLED"


class ChaincodeRefused(InputError):
    """The chaincode answered with a status of 400 or more: nothing is endorsed, nothing is written."""

    code = "CHAINCODE_REFUSED"


class ChaincodeFailed(GridLedgerError):
    """The host's answer is not a result of this proposal: a defect, or a chaincode that answers past its API."""

    code = "CHAINCODE_FAILED"
    status = 502


class DuplicateTransaction(ConflictError):
    """A transaction of this id is on the ledger already; ``details.outcome`` is its status."""

    code = "DUPLICATE_TXID"


class PeerBehind(UnavailableError):
    """This peer did not reach the height in time that the caller asks for."""

    code = "PEER_BEHIND"


class BadEndorsement(GridLedgerError):
    """Another peer answered with what is no endorsement of the proposal by it."""

    code = "BAD_ENDORSEMENT"
    status = 502


class EndorsersUnavailable(UnavailableError):
    """No set of endorsers that the policy accepts can be had now; ``details.peers`` says why, peer by peer."""

    code = "ENDORSERS_UNAVAILABLE"


class EndorsersBusy(BusyError):
    """Every endorser that could help is busy."""

    code = "ENDORSERS_BUSY"


class EndorsingOrganisationsRefused(InputError):
    """The organisations that a client names are not on the channel, or cannot satisfy the chaincode's policy."""

    code = "ENDORSING_ORGANISATIONS"


class EndorsementMismatch(ConflictError):
    """The endorsers' results differ and stayed so; ``details.peers`` says in what, peer by peer."""

    code = "ENDORSEMENT_MISMATCH"


class CommitTimeout(TimeoutExceeded):
    """The transaction was ordered; its commit on this peer did not come in time. Ask for its status."""

    code = "COMMIT_TIMEOUT"


class NotInConfig(UnavailableError):
    """The channel's config does not have this peer: it was removed, or is still to be added."""

    code = "NOT_IN_CONFIG"


class PeerStopping(UnavailableError):
    """This peer is being stopped."""

    code = "PEER_STOPPING"
