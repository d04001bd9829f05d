"""Errors about a channel or a message of the protocol that more than one kind of node raises."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, GridLedgerError, InputError, LimitError, NotFoundError


class ChannelUnknown(NotFoundError):
    """This node does not serve the channel."""

    code = "CHANNEL_UNKNOWN"


class EnvelopeTooLarge(LimitError):
    """A proposal or a transaction is larger than the channel's limit."""

    code = "ENVELOPE_TOO_LARGE"


class ProposalStale(InputError):
    """A proposal's time is too far from this node's clock."""

    code = "PROPOSAL_STALE"


class BadCreatorSignature(AuthenticationError):
    """The signature under a proposal or a transaction was not made by its creator."""

    code = "BAD_CREATOR_SIGNATURE"


class CapabilityUnknown(GridLedgerError):
    """A channel's configuration asks for what this version of GridLedger does not know.

    A node that went on would judge by rules that are no longer the channel's: it stops there and waits for an upgrade.
    So this is never turned into a transaction's code.
    """

    code = "CAPABILITY_UNKNOWN"
    status = 501
