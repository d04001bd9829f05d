"""Who may speak Raft here: for each channel the orderers of its configuration, by the fingerprint of their certificate,
and one that departs until Raft has removed it.

An orderer that was down while the others' certificates were renewed knows none of them. Where it hears only orderers
that it does not know it looks ahead: it fetches the blocks that it lacks, verifies them, and judges by the
configuration that they lead to. The blocks themselves come by Raft, as always.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gridledger.errors import AuthenticationError, GridLedgerError, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.protocol import ChannelConfig
from gridledger.protocol.joining import ConfigBlock
from services.orderer import metrics
from services.orderer.chain import Chain, fetched_block
from services.orderer.membership_follower import Ahead

_log = logging.getLogger(__name__)

PeekBlocks = Callable[[str, int], Awaitable[Sequence[bytes]]]
"""``peek(channel, first)``: some records (block and signature frames) from ``first`` on, none where nobody has them."""

IsMember = Callable[[str, str], bool]
"""``is_member(channel, name)``: whether an orderer is a member of the channel's Raft group."""

ONLY_STRANGERS_S = 2.0
"""How long no orderer that is known may speak before strangers are reason to look ahead."""
LOOK_AGAIN_S = 5.0
_MOST_TOLD = 100
"""Of how many strangers the log tells."""


class _Senders:
    """The orderers of one channel."""

    def __init__(self, chain: Chain, peek: PeekBlocks, clock_us: Callable[[], int], is_member: IsMember) -> None:
        self._chain = chain
        self._is_member = is_member
        self._peek = peek
        self._clock_us = clock_us
        self._ahead = (chain.last_header, chain.config)
        self._known_at: float | None = None
        self._look_again_at = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    @property
    def config(self) -> ChannelConfig:
        """The newest configuration that is known: the chain's, or the one ahead of it."""
        ahead, here = self._ahead[1], self._chain.config
        return ahead if ahead.sequence > here.sequence else here

    def name_of(self, certificate: Certificate) -> str | None:
        """The orderer whose certificate this is, None where it is nobody's or not valid now."""
        config = self.config
        node = config.raft_nodes_by_fingerprint.get(certificate.fingerprint)
        if node is None:
            return None
        if node.name not in config.orderers and not self._is_member(config.channel, node.name):
            return None  # Raft has removed it
        try:
            config.msps.identify(certificate, self._clock_us())
        except AuthenticationError:
            return None
        return node.name

    def heard_known(self) -> None:
        """One of the channel's orderers has spoken."""
        self._known_at = asyncio.get_running_loop().time()

    def heard_stranger(self, certificate: Certificate) -> None:
        """Somebody else has: look ahead, if it may be one of the channel's orderers and nobody known speaks."""
        channel, now = self._chain.channel, asyncio.get_running_loop().time()
        metrics.RAFT_REFUSED.labels(channel).inc()
        if certificate.fingerprint not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(certificate.fingerprint)
            name, said = certificate.common_name, "is not an orderer of the channel as known here: not heard"
            _log.warning("%s (certificate %s) %s", name, certificate.fingerprint, said, extra={"channel": channel})
        if self._known_at is None:
            self._known_at = now
        if now - self._known_at < ONLY_STRANGERS_S or now < self._look_again_at:
            return
        try:
            role = self.config.msps.identify(certificate, self._clock_us()).role
        except AuthenticationError:
            return
        if role == "orderer":
            self.look_ahead()

    def learn(self, given: ConfigBlock) -> None:
        """Judge by a newer config block that an admin has given, and look ahead from there."""
        if given.number > max(self._ahead[0].number, self._chain.last_header.number):
            self._ahead = (given.block.header, given.config)
            if self.config is given.config:
                self._chain.on_config(given.config)

    def look_ahead(self) -> None:
        """Begin to look ahead, unless that is under way or was a moment ago."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_again_at and (self._looking is None or self._looking.done()):
            self._look_again_at = now + LOOK_AGAIN_S
            self._looking = asyncio.create_task(self._look_ahead(), name=f"look-ahead-{self._chain.channel}")

    async def _look_ahead(self) -> None:
        if self._ahead[0].number < self._chain.last_header.number:
            self._ahead = (self._chain.last_header, self._chain.config)
        before = self.config
        try:
            while records := await self._peek(self._chain.channel, self._ahead[0].number + 1):
                for record in records:
                    last, config = self._ahead
                    block = fetched_block(config, last, record).block
                    self._ahead = (block.header, await self._chain.config_after(config, block) or config)
                    await asyncio.sleep(0)
        except GridLedgerError as error:
            _log.warning("cannot look ahead: %s", error, extra={"channel": self._chain.channel})
        if self.config is not before:
            _log.info("configuration %d is known ahead", self.config.sequence, extra={"channel": self._chain.channel})
            self._chain.on_config(self.config)

    def close(self) -> None:
        """Look no further."""
        if self._looking is not None:
            self._looking.cancel()


class RaftSenders:
    """The same for all channels of an orderer. ``clock_us`` gives microseconds since 1970."""

    def __init__(
        self,
        chains: Mapping[str, Chain],
        peek: PeekBlocks,
        clock_us: Callable[[], int],
        is_member: IsMember = lambda _channel, _name: True,
    ) -> None:
        """``is_member`` says whether Raft still has an orderer that departs."""
        self._is_member = is_member
        self._peek = peek
        self._clock_us = clock_us
        self._channels: dict[str, _Senders] = {}
        for chain in chains.values():
            self.add(chain)

    def add(self, chain: Chain) -> None:
        """Hear the orderers of one more channel."""
        self._channels[chain.channel] = _Senders(chain, self._peek, self._clock_us, self._is_member)

    def remove(self, channel: str) -> None:
        """Hear a channel's orderers no more."""
        self._channels.pop(channel).close()

    def ahead_of(self, channel: str) -> Ahead:
        """What is known of a channel beyond its blocks here."""
        return self._channels[channel]

    def config_of(self, channel: str) -> ChannelConfig:
        """The newest configuration that is known of a channel."""
        return self._channels[channel].config

    def learn(self, given: ConfigBlock) -> None:
        """See :meth:`_Senders.learn`."""
        self._channels[given.config.channel].learn(given)

    def name_in(self, certificate: Certificate, channel: str) -> str | None:
        """The name of the orderer of a channel that speaks, None where the certificate is none of its orderers'."""
        senders = self._channels.get(channel)
        if senders is None:
            return None
        name = senders.name_of(certificate)
        if name is None:
            senders.heard_stranger(certificate)
        else:
            senders.heard_known()
        return name

    def check(self, certificate: Certificate) -> str:
        """The name of an orderer that some channel has; :class:`PermissionDeniedError` where none does."""
        for senders in self._channels.values():
            name = senders.name_of(certificate)
            if name is not None:
                return name
        for senders in self._channels.values():
            senders.heard_stranger(certificate)
        raise PermissionDeniedError("only the orderers of a channel talk Raft here")

    def issuer_of(self, certificate: Certificate) -> str:
        """The fingerprint of the root that issued an orderer's certificate; "" where it is no channel's. Costs a
        verification."""
        for senders in self._channels.values():
            node = senders.config.raft_nodes_by_fingerprint.get(certificate.fingerprint)
            root = None if node is None else senders.config.msps.msps[node.mspid].issuer_of(certificate)
            if root is not None:
                return root.fingerprint
        return ""

    def close(self) -> None:
        """Look ahead no further."""
        for senders in self._channels.values():
            senders.close()
