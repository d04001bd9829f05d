"""A channel at the peer's edge: its configuration, its height, and who may do what on it.

It follows the committer's reports; the ledger itself is only read here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from heapq import heappop, heappush

from gridledger.errors import PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError, UnknownAuthority
from gridledger.identity.msp import Identity
from gridledger.ledger import Ledger
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Forwarder
from gridledger.protocol.errors import ChannelUnknown
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.transaction_status import Status
from services.peer.errors import ChaincodeUnknown


class Channel:
    """One channel. ``height`` counts blocks that are durable here; ``node`` is this peer's name."""

    def __init__(self, ledger: Ledger, node: str = "", *, was_named: bool = False) -> None:
        self.name = ledger.channel
        self.ledger = ledger
        self.config: ChannelConfig = ledger.config()
        self.height = ledger.height
        self.commit_hash = ledger.commit_hash
        self.source: str | None = None
        self.source_reason = "not connected yet"
        self.behind = 0
        """Blocks that wait for their commit, as of the newest one that is durable."""
        self._node = node
        self._was_named = was_named or self.is_named
        """Whether some configuration had this peer, as far as it knows."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waiters = 0

    def committed(self, block: CommittedBlock) -> None:
        """Take note of a durable block, and of the configuration that it may have brought."""
        if block.number >= self.height:
            self.height = block.number + 1
            self.commit_hash = block.commit_hash
        while self._waiting and self._waiting[0][0] <= self.height:
            future = heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)
        if block.config_changed:
            self.config = self.ledger.config()
            self._was_named = self._was_named or self.is_named

    @property
    def is_named(self) -> bool:
        """Whether the configuration has this peer."""
        return self._node in self.config.peers

    @property
    def standing(self) -> str:
        """What this peer is on the channel: ``peer``; ``removed`` from the configuration; ``awaited``, where none has
        had it yet."""
        if self.is_named:
            return "peer"
        return "removed" if self._was_named else "awaited"

    @property
    def indexed(self) -> int:
        """How many blocks the index has that searches use."""
        with self.ledger.snapshot() as snapshot:
            return snapshot.index_head.height

    async def reach(self, height: int, timeout_s: float) -> bool:
        """Wait until this many blocks are durable here; False if they are not after ``timeout_s``."""
        if self.height >= height:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters += 1
        heappush(self._waiting, (height, self._waiters, future))
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            # Taken out when its height comes; one that was cancelled must not stay that long.
            if future.cancelled() or not future.done():
                future.cancel()
                self._waiting = [entry for entry in self._waiting if entry[2] is not future]
                self._waiting.sort()
        return True

    def status(self, tx_id: str) -> Status | None:
        """A transaction's status, None if the ledger has none of this id."""
        return self.ledger.status(tx_id)

    def identify(self, certificate: Certificate, at_us: int) -> Identity:
        """Who this is on the channel; :class:`IdentityError` if nobody."""
        return self.config.msps.identify(certificate, at_us)

    def check_bearer(self, caller: Identity, creator: Certificate, at_us: int) -> None:
        """Raise :class:`PermissionDeniedError` unless ``caller`` may bring what ``creator`` has signed.

        That may the creator itself, under this certificate or another one of the same MSP id and subject (a renewed
        one), a peer of the channel, and whom the channel's config names as a forwarder.
        """
        if caller.fingerprint == creator.fingerprint or caller.fingerprint in self.config.peers_by_fingerprint:
            return
        bearer = self.identify(caller.certificate, at_us)
        if (
            creator.subject_der == bearer.certificate.subject_der
            and bearer.mspid == self.identify(creator, at_us).mspid
        ):
            return
        if Forwarder(bearer.mspid, bearer.name) in self.config.forwarders:
            return
        raise PermissionDeniedError(
            f"{bearer.name!r} of {bearer.mspid} may not bring what {creator.common_name!r} has signed: that may its "
            f"creator, a peer of the channel, and whom the config of {self.name} names as a forwarder"
        )

    def require(self, resource: str, identity: Identity) -> None:
        """Raise :class:`PermissionDeniedError` unless the channel's policy of a resource admits the identity."""
        self.config.admit(resource, identity)

    def chaincode(self, name: str) -> ChaincodeDefinition:
        """The definition that the channel has agreed on."""
        definition = self.config.chaincodes.get(name)
        if definition is None:
            known = sorted(self.config.chaincodes)
            there = ", ".join(known) or "none"
            raise ChaincodeUnknown(f"the channel {self.name} has no chaincode {name!r}; it has: {there}", known=known)
        return definition


class Channels:
    """The channels of this peer, by name."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = dict(channels)

    def __getitem__(self, name: str) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            raise ChannelUnknown(f"this peer is not on the channel {name!r}: GET /channels lists which you may read")
        return channel

    def __contains__(self, name: str) -> bool:
        return name in self._channels

    def add(self, channel: Channel) -> None:
        """Serve one more channel."""
        self._channels[channel.name] = channel

    def remove(self, name: str) -> None:
        """Serve a channel no more."""
        self._channels.pop(name, None)

    def all(self) -> list[Channel]:
        """Every channel, by name."""
        return [channel for _, channel in sorted(self._channels.items())]

    def has_peer(self, fingerprint: str) -> bool:
        """Whether a certificate of this fingerprint is that of a peer of any channel."""
        return any(fingerprint in channel.config.peers_by_fingerprint for channel in self._channels.values())

    def identify(self, certificate: Certificate, at_us: int) -> Identity:
        """Who this is on any channel of this peer: what the HTTP edge asks at every request.

        Where no channel knows the certificate, the most telling refusal is raised (expired before unknown).
        """
        refusal: IdentityError | None = None
        for channel in self._channels.values():
            try:
                return channel.identify(certificate, at_us)
            except IdentityError as error:
                if refusal is None or isinstance(refusal, UnknownAuthority):
                    refusal = error
        raise refusal or UnknownAuthority("this peer is on no channel")
