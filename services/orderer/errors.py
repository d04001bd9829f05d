"""The orderer's errors, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, InputError, LimitError, NotFoundError, UnavailableError


class ChannelUnknown(NotFoundError):
    """This orderer does not serve the channel."""

    code = "CHANNEL_UNKNOWN"


class NoLeader(UnavailableError):
    """The channel has no leader now (an election is under way, or no majority of its orderers is up)."""

    code = "NO_LEADER"


class EnvelopeTooLarge(LimitError):
    """An envelope is larger than the channel's limit."""

    code = "ENVELOPE_TOO_LARGE"


class ProposalStale(InputError):
    """A proposal's time is too far from the orderer's clock."""

    code = "PROPOSAL_STALE"


class BadClientSignature(AuthenticationError):
    """The client's signature does not belong to the transaction, or was not made by its creator."""

    code = "BAD_CREATOR_SIGNATURE"


class WrongChannel(InputError):
    """A transaction for one channel was sent to another."""

    code = "WRONG_CHANNEL"
