"""The orderer's errors, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import ConflictError, InputError, PermissionDeniedError, UnavailableError


class NoLeader(UnavailableError):
    """The channel has no leader now (an election is under way, or no majority of its orderers is up)."""

    code = "NO_LEADER"


class ChannelStopped(UnavailableError):
    """The channel has stopped on this orderer, since its blocks are damaged; the other orderers go on."""

    code = "CHANNEL_STOPPED"


class WrongChannel(InputError):
    """A transaction for one channel was sent to another."""

    code = "WRONG_CHANNEL"


class NotAnOrderer(PermissionDeniedError):
    """An orderer that the channel's configuration does not name, and that Raft does not have: it was removed, or is
    still to be added."""

    code = "NOT_AN_ORDERER"


class OrdererRemoved(UnavailableError):
    """Envelopes are sent to an orderer that takes no part in the channel any more."""

    code = "ORDERER_REMOVED"


class OtherIncarnation(ConflictError):
    """An orderer asks to join while Raft has another incarnation of it."""

    code = "OTHER_INCARNATION"


class OrderersChanging(ConflictError):
    """A channel's orderers are to change again while Raft has not followed the change before."""

    code = "ORDERERS_CHANGING"


class OrdererStopping(UnavailableError):
    """The orderer was told to stop before the envelope was ordered."""

    code = "ORDERER_STOPPING"
