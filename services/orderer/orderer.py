"""One orderer: its channels, the consensus engine under them, and the tasks that keep them going."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gridledger import __version__
from gridledger.effort import Effort
from gridledger.errors import AuthenticationError, GridLedgerError, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import UnknownAuthority
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.msp import Identity
from gridledger.incarnation import node_of
from gridledger.participating import Participating
from gridledger.protocol import ChannelConfig, acls
from gridledger.protocol.errors import ChannelUnknown
from services.orderer import metrics
from services.orderer.balance import Balance
from services.orderer.chain import Chain
from services.orderer.clock_bound import ClockBound
from services.orderer.comparing import Comparing
from services.orderer.config_judge import OffLoop
from services.orderer.lives import Lives
from services.orderer.membership_follower import MembershipFollower
from services.orderer.queue_shares import QueueShares
from services.orderer.raft.interface import Consensus
from services.orderer.raft_senders import PeekBlocks, RaftSenders
from services.orderer.scrubbing import Scrubbing
from services.orderer.sequencer import Sequencer
from services.orderer.settings import OrdererSettings

_log = logging.getLogger(__name__)
ORDERER_READERS = "/Channel/Orderer/Readers"

_TOLD_TO_MEMBERS = ("channel", "height", "last_hash", "leader", "term", "config_sequence", "standing")
"""Of what an orderer knows of a channel."""

CLOCK_LOOK_S = 1.0
"""How often a leader compares its clock with the last block."""

CLOCK_AGAIN_S = 60.0
"""For how long it does not hand over again for that."""

HAND_OVER_S = 1.0
"""How long a stop waits for another orderer to take over."""


@dataclass(slots=True)
class Channel:
    """One channel here: its chain and what puts envelopes in order for it."""

    chain: Chain
    sequencer: Sequencer
    comparing: Comparing
    scrubbing: Scrubbing
    follower: MembershipFollower
    clock_bound: ClockBound | None = None
    raft_id: str = ""
    """By which name its Raft group knows this orderer."""
    was_named: bool = False
    """Whether some configuration of the channel had this orderer."""

    async def run(self) -> None:
        """Order and check until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.sequencer.run())
            tasks.create_task(self.comparing.run())
            tasks.create_task(self.scrubbing.run())
            tasks.create_task(self.follower.run())

    @property
    def config(self) -> ChannelConfig:
        """The configuration that holds now."""
        return self.chain.config

    def is_peer(self, caller: Identity) -> bool:
        """Whether this is a peer of the channel."""
        return caller.fingerprint in self.config.peers_by_fingerprint


class Orderer:
    """All channels of one orderer. ``clock_us`` gives microseconds since 1970, ``peek`` blocks of other orderers.

    What callers' work costs is told by ``clock``, monotonic, and ``thread_clock``, the processor's time of a thread, in
    seconds both.
    """

    participation: Participating
    """Joins and leaves channels; set by ``open_orderer``."""

    def __init__(
        self,
        settings: OrdererSettings,
        consensus: Consensus,
        channels: dict[str, Channel],
        *,
        certificate: Certificate,
        local: LocalMSP,
        clock_us: Callable[[], int],
        peek: PeekBlocks,
        lives: Lives,
        off_loop: OffLoop = asyncio.to_thread,
        clock: Callable[[], float] = time.monotonic,
        thread_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.settings = settings
        self.certificate = certificate
        self.local = local
        self.consensus = consensus
        self.channels = channels
        self.clock_us = clock_us
        self.effort = Effort(clock=clock, thread_clock=thread_clock)
        # Gateways charge their clients for what is refused here.
        self.effort_of_peers = Effort(part=1.0, burst_s=1.0, clock=clock, thread_clock=thread_clock)
        self.places = {name: QueueShares(settings.limits) for name in channels}
        self.off_loop = off_loop
        self.lives = lives
        chains = {name: item.chain for name, item in channels.items()}
        self.raft_senders = RaftSenders(chains, peek, clock_us, self._is_member)
        self.balance = Balance(settings.name, consensus, channels, settings.balance_s)
        self._handing_over: asyncio.Future[list[None]] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def enter(self, channel: Channel) -> None:
        """Serve a channel from now on."""
        name = channel.chain.channel
        self.channels[name] = channel
        self.places[name] = QueueShares(self.settings.limits)
        self.raft_senders.add(channel.chain)
        channel.follower.ahead = self.raft_senders.ahead_of(name)
        metrics.CLOCK_OFF.labels(name).set_function(lambda: int(self.clock_fault(name) is not None))
        self._share_scrubbing()
        self._run_channel(name)

    async def leave(self, name: str) -> None:
        """Serve a channel no more; what it did here has ended when this returns."""
        del self.channels[name]
        del self.places[name]
        self.raft_senders.remove(name)
        self._share_scrubbing()
        running = self._running.pop(name, None)
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))

    def _share_scrubbing(self) -> None:
        for channel in self.channels.values():
            channel.scrubbing.bytes_per_s = max(1, self.settings.checks.scrub_bytes_per_s // len(self.channels))

    def _run_channel(self, name: str) -> None:
        if self._tasks is not None:
            self._running[name] = self._tasks.create_task(self.channels[name].run(), name=f"channel-{name}")

    def channel(self, name: str) -> Channel:
        """A channel by name; :class:`ChannelUnknown` where this orderer does not serve it."""
        channel = self.channels.get(name)
        if channel is None:
            raise ChannelUnknown(f"no channel {name!r} on {self.settings.name}: GET /status tells which you may read")
        return channel

    def authenticate(self, certificate: Certificate) -> Identity:
        """Who a certificate is, by the first channel of which it is a member. An admin of this orderer's organisation
        need not be one.

        Where nobody knows it, the most telling refusal is raised (expired before unknown).
        """
        now = self.clock_us()
        refusal: GridLedgerError | None = None
        for name, channel in self.channels.items():
            # Orderers may have other roots by now than the chain here has come to.
            ahead = self.raft_senders.config_of(name)
            for config in (channel.config,) if ahead is channel.config else (channel.config, ahead):
                try:
                    return config.msps.identify(certificate, now)
                except AuthenticationError as error:
                    if refusal is None or isinstance(refusal, UnknownAuthority):
                        refusal = error
        if self.local.is_admin(certificate, now):
            return self.local.identify(certificate, now)
        raise refusal or AuthenticationError("this orderer serves no channel")

    def authorise(self, name: str, caller: Identity, resource: str) -> Channel:
        """The channel, if the caller is admitted to one of its resources or is one of its orderers.

        Its certificate is judged by the channel's own MSPs as of now, an orderer's too.
        """
        channel = self.channel(name)
        config = channel.config
        member = config.msps.identify(caller.certificate, self.clock_us())
        if caller.certificate.fingerprint in config.orderers_by_fingerprint:
            return channel
        if resource == acls.DELIVER and _reads_as_orderer(config, member):
            return channel
        config.admit(resource, member)
        return channel

    def _is_member(self, name: str, orderer: str) -> bool:
        return self.consensus.is_member(name, orderer)

    def votes_in(self, channel: Channel) -> bool:
        """Whether this orderer votes in a channel, as far as it knows."""
        return channel.raft_id in self.consensus.status(channel.chain.channel).membership.voters

    def broken_channels(self) -> list[str]:
        """Channels that have stopped on this orderer, while the others go on."""
        return [name for name in self.channels if self.consensus.status(name).broken is not None]

    def removed_channels(self) -> list[str]:
        """Channels that this orderer takes no part in any more."""
        return [name for name, channel in self.channels.items() if channel.follower.removed and channel.was_named]

    def clock_fault(self, name: str) -> str | None:
        """What shows that this orderer's clock may be off, None where nothing does."""
        raft, bound = self.consensus.status(name), self.channels[name].clock_bound
        if raft.outvoted:
            return f"most orderers did not accept the time of entry {raft.outvoted}, which this one made"
        if raft.declined and bound is not None and bound.ahead_s:
            return f"the leader's time is {bound.ahead_s:.1f} s ahead of this orderer's clock"
        if self._is_behind(name):
            return "the channel's last block is far ahead of this orderer's clock"
        return None

    def _is_behind(self, name: str) -> bool:
        """Whether the last block lies further ahead of this clock than orderers accept: then it is this clock that is
        off, since a majority accepted the block."""
        ahead_us = self.channels[name].chain.last_header.timestamp_us - self.clock_us()
        return ahead_us > self.settings.limits.max_clock_ahead_s * 1_000_000

    async def mind_the_clock(self) -> None:
        """Until cancelled: hand over channels that this orderer leads while its clock is far behind.

        Under such a leader a channel's time stands still, and proposals that are made now are refused as stale. Not
        again soon: where all clocks are behind the channel, it has had a wrong one before.
        """
        again_at: dict[str, float] = {}
        while True:
            await asyncio.sleep(CLOCK_LOOK_S)
            now = asyncio.get_running_loop().time()
            for name in list(self.channels):
                if name not in self.channels:
                    continue  # left meanwhile
                leads = self.consensus.leadership(name).is_self
                if leads and self._is_behind(name) and now >= again_at.get(name, now):
                    again_at[name] = now + CLOCK_AGAIN_S
                    _log.error("this orderer's clock is far behind the channel's last block", extra={"channel": name})
                    await self._hand_over(name)

    def describe(self, name: str) -> dict[str, Any]:
        """One channel's state, for status queries."""
        channel = self.channel(name)
        raft = self.consensus.status(name)
        return {
            "channel": name,
            "height": channel.chain.height,
            "last_hash": channel.chain.last_header.hash,
            "leader": raft.leader and node_of(raft.leader),
            "term": raft.term,
            "role": raft.role.value,
            "config_sequence": channel.config.sequence,
            "queued": channel.sequencer.queued,
            "broken": raft.broken,
            "clock": self.clock_fault(name),
            "different": list(channel.comparing.found.differ),
            "damaged_blocks": sorted(channel.scrubbing.damaged),
            "voters": sorted(raft.membership.voters),
            "learners": sorted(raft.membership.learners),
            **channel.follower.describe(),
        }

    def is_own_admin(self, caller: Identity) -> bool:
        """Whether an admin of the orderer's organisation calls, as its local MSP has it."""
        return caller.role == "admin" and self.local.is_admin(caller.certificate, self.clock_us())

    def told(self, name: str, caller: Identity) -> dict[str, Any]:
        """What a caller hears of one channel: its readers how far it is, the orderer's own admins all of it.

        Raises as :meth:`authorise`.
        """
        if self.is_own_admin(caller):
            return self.describe(name)
        self.authorise(name, caller, acls.DELIVER)
        return self._told_to_members(name)

    def status(self, caller: Identity) -> dict[str, Any]:
        """What a member hears of this orderer: version, certificate's end, and how far the channels are that it may
        read, an observer too, which gets no blocks here. An admin of the orderer's organisation hears of all channels,
        of queues, voters and settings too."""
        is_admin = self.is_own_admin(caller)
        channels = {}
        for name in sorted(self.channels):
            if is_admin:
                channels[name] = self.describe(name)
            elif self._may_know(name, caller):
                channels[name] = self._told_to_members(name)
        status = {
            "node": self.settings.name,
            "mspid": self.settings.mspid,
            "version": __version__,
            "certificate_not_after_us": self.certificate.not_after_us,
            "channels": channels,
        }
        return {**status, "settings": self.settings.model_dump(mode="json")} if is_admin else status

    def _may_know(self, name: str, caller: Identity) -> bool:
        """Whether a caller may know how far a channel is: who reads its blocks here, and who may at peers."""
        for resource in (acls.DELIVER, acls.CHAIN_INFO):
            with suppress(AuthenticationError, PermissionDeniedError):
                self.authorise(name, caller, resource)
                return True
        return False

    def _told_to_members(self, name: str) -> dict[str, Any]:
        return {member: value for member, value in self.describe(name).items() if member in _TOLD_TO_MEMBERS}

    async def transfer_leadership(self, name: str, to: str) -> None:
        """Give a channel's leadership to another orderer, by its name."""
        voters = self.consensus.status(name).membership.voters
        await self.consensus.transfer_leadership(name, next((one for one in voters if node_of(one) == to), to))

    async def hand_over(self) -> None:
        """Before a stop: give each channel that this orderer leads to the other one that has most of its log.

        A leader that just goes costs the channel an election timeout. Done once, however often it is asked for; takes
        at most ``HAND_OVER_S``.
        """
        if self._handing_over is None:
            led = [name for name in self.channels if self.consensus.leadership(name).is_self]
            self._handing_over = asyncio.gather(*map(self._hand_over, led))
        await asyncio.shield(self._handing_over)

    async def hand_over_channel(self, name: str) -> None:
        """Before this orderer leaves a channel: have another one lead it."""
        if name in self.channels and self.consensus.leadership(name).is_self:
            await self._hand_over(name)

    async def _hand_over(self, name: str) -> None:
        status = self.consensus.status(name)
        stay = self.channels[name].config.orderers
        heirs = [
            voter
            for voter, known in status.followers.items()
            if known.is_heard and voter in status.membership.voters and node_of(voter) in stay
        ]
        if not heirs:
            return
        heir = max(heirs, key=lambda voter: status.followers[voter].match)
        try:
            await self.consensus.transfer_leadership(name, heir, timeout_s=HAND_OVER_S)
            _log.info("handed over to %s", heir, extra={"channel": name})
        except GridLedgerError as error:
            _log.info("not handed over to %s: %s", heir, error, extra={"channel": name})

    async def run(self) -> None:
        """Order until cancelled, on channels that are entered later too; raises what the consensus engine failed
        with."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for name in self.channels:
                    self._run_channel(name)
                self._tasks.create_task(self.mind_the_clock())
                self._tasks.create_task(self.balance.run())
                raise await self.consensus.failure()
        except* Exception as failures:
            # Whatever failed first is the cause; the rest are the tasks that fell with it.
            raise _first_of(failures) from None
        finally:
            self._tasks = None
            self._running.clear()


def _reads_as_orderer(config: ChannelConfig, member: Identity) -> bool:
    """Whether this is an orderer of a member: one that is about to join, or was removed while it was down, finds in
    the blocks what holds."""
    readers = config.policy(ORDERER_READERS)
    return member.role == "orderer" and readers.satisfied_by([(member.mspid, member.role)])


def _first_of(failures: BaseExceptionGroup[Exception]) -> BaseException:
    """What failed first: a channel's tasks are a group within the orderer's."""
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
