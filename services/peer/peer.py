"""The peer: puts its parts together, and passes on to them what the committer reports."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from random import Random, SystemRandom
from typing import Any, Protocol, TypeVar

from gridledger import __version__
from gridledger.contract.packaging import package_id
from gridledger.effort import Effort
from gridledger.errors import BusyError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.msp import Identity
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger.lmdb_store import abandon
from gridledger.participating import Participating
from gridledger.protocol.config import Node
from gridledger.protocol.errors import ChannelUnknown
from gridledger.protocol.transaction_status import Status
from services.peer import metrics
from services.peer.channel import Channel, Channels
from services.peer.committer.messages import BlockCommitted, CommitterReport, SourceChanged
from services.peer.endorser.endorser import AdmittedProposal, Endorser, Note, ProposalResponse
from services.peer.endorser.hosts import ChaincodeHosts
from services.peer.endorser.packages import Packages
from services.peer.errors import PeerStopping
from services.peer.events import ChannelEvents
from services.peer.gateway.admission import Admission
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.endorsed_here import EndorsedHere
from services.peer.gateway.endorsement import Collector
from services.peer.gateway.gateway import Gateway
from services.peer.gateway.ordering_queue import OrderingQueue
from services.peer.gateway.other_nodes import OtherNodes
from services.peer.gateway.peer_health import PeerHealth
from services.peer.gateway.selection import Selection
from services.peer.gateway.submission import Submitter
from services.peer.settings import PeerSettings

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def clock_us() -> int:
    """The wall clock in microseconds since 1970."""
    return time.time_ns() // 1000


class TrustedRoots(Protocol):
    """The TLS side of this peer's edge: the part of ServerTLS that a config changes."""

    def extend_roots(self, pem: str) -> None: ...


class Peer:
    """Everything behind the HTTP edge. Made by ``open_peer``."""

    participation: Participating
    """Joins and leaves channels; set by ``open_peer``."""

    def __init__(
        self,
        settings: PeerSettings,
        identity: SigningIdentity,
        channels: Channels,
        tls: TrustedRoots,
        *,
        local: LocalMSP,
        note: Note | None = None,
    ) -> None:
        limits, random = settings.endorsement, SystemRandom()
        clock = asyncio.get_running_loop().time
        self.settings = settings
        self.identity = identity
        self.channels = channels
        self.local = local
        self.tls = tls
        self.packages = Packages(settings.package_directory, settings.packages)
        self.hosts = ChaincodeHosts(self.packages, settings.ledger_directory, settings.hosts)
        self.nodes = OtherNodes(identity)
        self.health = PeerHealth(self.nodes.probe, limits.probe_after_s, clock=clock)
        self.notifier = CommitNotifier(self._status_of, max_waiters=settings.edge.max_waiters)
        self.endorser = Endorser(
            settings.name,
            identity,
            channels,
            self.hosts,
            clock_us=clock_us,
            catch_up_s=limits.catch_up_s,
            note=note,
        )
        self.collector = Collector(
            self._ask, Selection(settings.name, self.health), self.health, limits, clock=clock, note=note
        )
        self.queues: dict[str, OrderingQueue] = _OfChannels()
        self.events: dict[str, ChannelEvents] = _OfChannels()
        self.on_config: Callable[[Channel], None] = lambda _: None
        """Hears of each channel whose configuration has changed."""
        self._random = random
        self._early: dict[str, list[CommitterReport]] = {}
        self.effort = Effort()
        # A gateway passes on what it has read itself: only one that does not is ever refused here.
        self.effort_of_nodes = Effort(part=1.0, burst_s=1.0)
        self.admission = Admission(settings.edge.max_wait_s, clock=time.monotonic)
        endorsed_here = EndorsedHere()
        self.submitter = Submitter(
            channels,
            self.queues,
            self.notifier,
            endorsed_here,
            clock_us=clock_us,
            commit_timeout_s=settings.edge.commit_timeout_s,
            effort=self.effort,
        )
        self.gateway = Gateway(
            settings.name,
            channels,
            endorser=self.endorser,
            collector=self.collector,
            submitter=self.submitter,
            notifier=self.notifier,
            endorsed_here=endorsed_here,
            elsewhere=self.nodes,
            clock_us=clock_us,
            random=random,
            evaluate_timeout_s=limits.timeout_s,
            effort=self.effort,
        )
        self.stopping = False
        self._following = asyncio.Event()
        self._installing = asyncio.Lock()
        for channel in channels.all():
            self.enter(channel)

    def enter(self, channel: Channel) -> None:
        """Serve a channel from now on; its committer runs."""
        name = channel.name
        self.queues[name] = self._queue(channel, self._random)
        self.events[name] = ChannelEvents(channel)
        self.channels.add(channel)
        metrics.HEIGHT.labels(name).set(channel.height)
        metrics.CONNECTED.labels(name).set(0)
        for report in self._early.pop(name, ()):
            self.take(report)

    async def leave(self, name: str) -> None:
        """Serve a channel no more; its committer has ended. Who waits for it here hears ChannelUnknown, in time."""
        self._early.pop(name, None)
        if name not in self.channels:
            return
        # The ledger is not closed here: threads may read it still, and the last of them lets it go.
        abandon(self.settings.ledger_directory / name)
        self.channels.remove(name)
        self.events.pop(name)
        await self.queues.pop(name).close()
        self.hosts.forget(name)
        metrics.forget(name)

    def authenticate(self, certificate: Certificate) -> Identity:
        """Who calls: asked by the edge at every request. An admin of this peer's organisation need not be known to any
        channel."""
        try:
            return self.channels.identify(certificate, clock_us())
        except IdentityError:
            if not self.local.is_admin(certificate, clock_us()):
                raise
            return self.local.identify(certificate, clock_us())

    def is_own_admin(self, caller: Identity) -> bool:
        """Whether an admin of this peer's organisation calls, as its local MSP has it."""
        return caller.role == "admin" and self.local.is_admin(caller.certificate, clock_us())

    def take(self, report: CommitterReport) -> None:
        """What a committer says. Called in order, never while a request's code runs.

        What comes before the channel is entered are heights that its ledger shows anyway, and sources.
        """
        if isinstance(report, BlockCommitted | SourceChanged) and (name := channel_of(report)) not in self.channels:
            self._early.setdefault(name, []).append(report)
        elif isinstance(report, BlockCommitted):
            block = report.block
            channel = self.channels[block.channel]
            channel.committed(block)
            channel.behind = report.behind
            self.events[block.channel].committed(report)
            self.notifier.committed(block)
            metrics.observe_block(report)
            if block.config_changed:
                _log.info("%s: config %d holds from now on", channel.name, channel.config.sequence)
                self.on_config(channel)
                self._following.set()
        elif isinstance(report, SourceChanged):
            channel = self.channels[report.channel]
            channel.source, channel.source_reason = report.orderer, report.reason
            metrics.CONNECTED.labels(report.channel).set(report.orderer is not None)

    async def follow_configs(self) -> None:
        """Bring connections and chaincode hosts in line with the configs, now and after each change."""
        while True:
            self._following.clear()
            await self.prepare()
            await self._following.wait()

    async def prepare(self) -> None:
        """Connections, trusted roots and chaincode hosts for the present configs."""
        configs = [channel.config for channel in self.channels.all()]
        for config in configs:
            # Roots are only added: whom a channel no longer knows, the authenticator refuses.
            self.tls.extend_roots(config.msps.roots_pem())
        self.nodes.follow(configs)
        await self.hosts.follow(configs)

    async def install(self, package: bytes) -> str:
        """Install a chaincode package that a host can load; its id. Its hosts start if a channel's config names it.

        Raises PackageError and ChaincodeLoadError (400), and BusyError when others are being installed.
        """
        try:
            async with asyncio.timeout(self.settings.hosts.start_timeout_s):
                await self._installing.acquire()
        except TimeoutError:
            raise BusyError("other packages are being installed here: try again", retry_after_s=1.0) from None
        try:
            identifier = await self._install(package)
        finally:
            self._installing.release()
        await self.hosts.installed(identifier)
        return identifier

    async def _install(self, package: bytes) -> str:
        folder = await asyncio.to_thread(self.packages.unpack, package)
        try:
            await self.hosts.check(package_id(package), folder)
        except BaseException:
            await asyncio.to_thread(self.packages.discard, package)
            raise
        return await asyncio.to_thread(self.packages.keep, package)

    def status(self, readable: Collection[Channel]) -> dict[str, Any]:
        """What a member hears of this peer: version, certificate's end, and how far ``readable`` channels are."""
        channels = {
            channel.name: {
                "height": channel.height,
                "commit_hash": channel.commit_hash,
                "config_sequence": channel.config.sequence,
                "leader": self.queues[channel.name].leader,
                "standing": channel.standing,
            }
            for channel in readable
        }
        return {
            "node": self.settings.name,
            "mspid": self.settings.mspid,
            "version": __version__,
            "certificate_not_after_us": self.identity.certificate.not_after_us,
            "channels": channels,
        }

    def full_status(self) -> dict[str, Any]:
        """What an admin of this peer's organisation hears of it: all channels, and queues, faults and settings."""
        status = self.status(self.channels.all())
        for channel in self.channels.all():
            status["channels"][channel.name].update(
                orderer=channel.source,
                reason=channel.source_reason,
                queued=len(self.queues[channel.name]),
                behind=channel.behind,
                indexed=channel.indexed,
            )
        return {
            **status,
            "chaincodes": self.hosts.status(),
            "peers_left_out": self.health.status(),
            "commit_waiters": len(self.notifier),
            "settings": self.settings.model_dump(mode="json"),
        }

    async def close(self) -> None:
        """Let go of everything but the ledgers and the committer."""
        self.stopping = True
        await asyncio.gather(*(queue.close() for queue in self.queues.values()))
        await self.health.close()
        await self.hosts.close()
        await self.nodes.close()

    async def _ask(self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float) -> ProposalResponse:
        """Ask a peer, perhaps this one, for an endorsement. (The collection itself ends what takes too long here.)"""
        if peer.name == self.settings.name:
            return await self.endorse(proposal, min_height)
        return await self.nodes.endorse(peer, proposal, min_height, timeout_s)

    async def endorse(self, proposal: AdmittedProposal, min_height: int = 0) -> ProposalResponse:
        """Endorse here, and count it."""
        if self.stopping:
            raise PeerStopping("this peer is being stopped")
        started = time.perf_counter()
        endorsed = False
        try:
            response = await self.endorser.endorse(proposal, min_height=min_height)
            endorsed = True
        finally:
            channel, chaincode = proposal.channel.name, proposal.definition.name
            metrics.observe_endorsement(channel, chaincode, time.perf_counter() - started, endorsed=endorsed)
        return response

    def _status_of(self, channel: str, tx_id: str) -> Status | None:
        return self.channels[channel].status(tx_id)

    def _queue(self, channel: Channel, random: Random) -> OrderingQueue:
        async def send(orderer: str, body: bytes, timeout_s: float) -> bytes:
            return await self.nodes.broadcast(orderer, channel.name, body, timeout_s)

        def orderers() -> list[str]:
            return list(channel.config.orderers)

        clock = asyncio.get_running_loop().time
        return OrderingQueue(channel.name, orderers, send, self.settings.ordering, clock=clock, random=random)


class _OfChannels(dict[str, _T]):
    """A part for each channel, by name; ChannelUnknown for one that was left meanwhile."""

    def __missing__(self, name: str) -> _T:
        raise ChannelUnknown(f"this peer is not on the channel {name!r} any more")


def channel_of(report: BlockCommitted | SourceChanged) -> str:
    """Which channel a report is about."""
    return report.block.channel if isinstance(report, BlockCommitted) else report.channel
