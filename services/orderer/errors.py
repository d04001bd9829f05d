"""The orderer's errors, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import InputError, UnavailableError


class NoLeader(UnavailableError):
    """The channel has no leader now (an election is under way, or no majority of its orderers is up)."""

    code = "NO_LEADER"


class ChannelStopped(UnavailableError):
    """The channel has stopped on this orderer, since its blocks are damaged; the other orderers go on."""

    code = "CHANNEL_STOPPED"


class WrongChannel(InputError):
    """A transaction for one channel was sent to another."""

    code = "WRONG_CHANNEL"


class OrdererStopping(UnavailableError):
    """The orderer was told to stop before the envelope was ordered."""

    code = "ORDERER_STOPPING"
