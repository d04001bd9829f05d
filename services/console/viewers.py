"""As whom the console looks: one identity or several, each with its gateway, and which channels each of them reads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from gridledger.client import Gateway, Network, SigningIdentity, connect
from gridledger.client.profile import ConnectionProfile, NodeEntry
from gridledger.errors import AuthenticationError, GridLedgerError, NotFoundError, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import CertificateRevoked
from gridledger.identity.msp import Identity
from gridledger.protocol import acls
from gridledger.protocol.config import ChannelConfig
from services.console.errors import LoginRefused, SessionRequired
from services.console.sessions import Person

LOOK_EVERY_S: Final = 2.0
MAX_VIEWERS: Final = 16
EVALUATED_AT_ONCE: Final = 16
_READS: Final = (
    acls.CHAIN_INFO,
    acls.BLOCK_BY_NUMBER,
    acls.TRANSACTION_BY_ID,
    acls.CHANNEL_CONFIG,
    acls.CHAINCODE_DEFINITION,
    acls.BLOCK_EVENTS,
    acls.FILTERED_BLOCK_EVENTS,
    acls.CHAINCODE_EVENTS,
    acls.EVALUATE,
    acls.HISTORY,
)
"""What the console asks peers about a channel."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Viewer:
    """One identity. ``configs`` are of the channels that it reads; ``ended`` says why it may look no more."""

    identity: SigningIdentity
    gateway: Gateway
    configs: dict[str, ChannelConfig] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    ended: str | None = None
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(EVALUATED_AT_ONCE), repr=False)
    """Of evaluations of applications' contracts, of which one page asks for many."""

    @property
    def label(self) -> str:
        """As whom, in a word: ``alice@Org1MSP``."""
        return f"{self.identity.name}@{self.identity.mspid}"

    @property
    def person(self) -> Person:
        """Who it is."""
        return Person.of(self.identity.mspid, self.identity.certificate)

    def network(self, channel: str) -> Network:
        """A channel, as this identity."""
        return self.gateway.get_network(channel)

    def role_on(self, channel: str, certificate: Certificate | None = None) -> Identity | None:
        """What the identity, or the holder of another certificate, is under the channel's configuration; None where it
        is no member."""
        config = self.configs.get(channel)
        if config is None:
            return None
        try:
            return config.msps.identify(certificate or self.identity.certificate, time.time_ns() // 1000)
        except GridLedgerError:
            return None


looking: ContextVar[Person | None] = ContextVar("looking", default=None)
"""For whom the present request is answered; None for the console's own work. Set where a request is identified, so that
no page can forget it."""


class Viewers:
    """All of them, in the order in which they were given: a channel is shown as the first that reads it.

    Where the console is ``shared``, other people than the identities' holders look: each sees of a channel what the
    console reads there and the channel's own policies let that person read, and nobody signs anything.
    """

    def __init__(
        self,
        profile: ConnectionProfile,
        viewers: Sequence[Viewer],
        clock_us: Callable[[], int],
        *,
        shared: bool = False,
    ) -> None:
        self.profile = profile
        self.shared = shared
        self._viewers = tuple(viewers)
        self._clock_us = clock_us
        self._looked = asyncio.Event()

    @property
    def all(self) -> tuple[Viewer, ...]:
        """Every identity, also those that may look no more."""
        return self._viewers

    @property
    def first(self) -> Viewer:
        """The first one, whose session this is."""
        return self._viewers[0]

    @property
    def channels(self) -> Mapping[str, Viewer]:
        """Who each channel is shown as, by the channel's name: to whoever is ``looking``."""
        person, found = looking.get(), dict[str, Viewer]()
        for viewer in self._viewers:
            if viewer.ended is None:
                for channel, config in viewer.configs.items():
                    if person is None or not self.shared or self._may_read(person, config):
                        found.setdefault(channel, viewer)
        return dict(sorted(found.items()))

    def _may_read(self, person: Person, config: ChannelConfig) -> bool:
        """Whether the channel's policies let a person read all that the console shows of it."""
        if person.certificate is None:
            return False
        try:
            identity = config.msps.identify(person.certificate, self._clock_us())
            for resource in _READS:
                config.admit(resource, identity)
        except GridLedgerError:
            return False
        return True

    def member(self, certificate: Certificate) -> Person:
        """Who holds a certificate, by the configuration of any channel that the console reads;
        :class:`LoginRefused` for a stranger, and for one whom one of these channels has revoked."""
        refused, found = "no channel is known yet", None
        for viewer in self._viewers:
            for config in () if viewer.ended is not None else viewer.configs.values():
                try:
                    found = Person.of(config.msps.identify(certificate, self._clock_us()).mspid, certificate)
                except CertificateRevoked as error:
                    raise LoginRefused(error.message) from None
                except AuthenticationError as error:
                    refused = error.message
        if found is None:
            raise LoginRefused(f"nobody of the console's channels: {refused}")
        return found

    def require_own(self) -> None:
        """Raise :class:`PermissionDeniedError` where those who look have no identity here to sign with."""
        if self.shared:
            raise PermissionDeniedError(
                "this is signed by yourself: do it in a console on your own machine (gridledger console)"
            )

    def of(self, channel: str) -> Viewer:
        """As whom a channel is shown; :class:`NotFoundError` where nobody here reads it."""
        viewer = self.channels.get(channel)
        if viewer is None:
            who = ", ".join(one.label for one in self._viewers)
            raise NotFoundError(f"there is no channel {channel!r:.80} that {who} may read", channel=channel[:80])
        return viewer

    def for_node(self, entry: NodeEntry) -> SigningIdentity:
        """As whom a node is asked for its status: one of its own organisation, else the first."""
        own = (viewer for viewer in self._viewers if viewer.identity.mspid == entry.mspid and viewer.ended is None)
        return next(own, self.first).identity

    def check(self, person: Person) -> None:
        """Raise :class:`SessionRequired` where a person's certificate was revoked, or has ended."""
        if self.shared and person.certificate is not None:
            try:
                self.member(person.certificate)
            except LoginRefused as error:
                raise SessionRequired(f"the session has ended: {error.message}") from None
            return
        for viewer in self._viewers:
            if viewer.identity.certificate.fingerprint == person.fingerprint:
                if viewer.ended is not None:
                    raise SessionRequired(f"the session has ended: {viewer.ended}")
                return
        raise SessionRequired("the session's identity is not one of the console's any more")

    async def follow(self) -> None:
        """Follow who may read what, until this is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once, for all of them."""
        await asyncio.gather(*(self._look(viewer) for viewer in self._viewers))
        self._looked.set()

    async def looked(self) -> None:
        """Return when everybody has looked once."""
        await self._looked.wait()

    async def _look(self, viewer: Viewer) -> None:
        try:
            self._check_dates(viewer)
            names = await viewer.gateway.channels()
        except AuthenticationError as error:
            self._end(viewer, error)
            return
        except GridLedgerError as error:
            viewer.faults[""] = error.message
            return
        viewer.faults.pop("", None)
        for gone in viewer.configs.keys() - set(names):
            del viewer.configs[gone]
        await asyncio.gather(*(self._look_at(viewer, name) for name in names))

    async def _look_at(self, viewer: Viewer, channel: str) -> None:
        network, known = viewer.network(channel), viewer.configs.get(channel)
        try:
            if known is None or (await network.get_chain_info()).config_sequence > known.sequence:
                config = await network.get_config()
                viewer.configs[channel] = config
                config.msps.identify(viewer.identity.certificate, self._clock_us())
            viewer.faults.pop(channel, None)
        except AuthenticationError as error:
            self._end(viewer, error)
        except GridLedgerError as error:
            viewer.faults[channel] = error.message

    def _check_dates(self, viewer: Viewer) -> None:
        if self._clock_us() > viewer.identity.certificate.not_after_us:
            raise SessionRequired(f"the certificate of {viewer.label} has ended: renew it (gridledger enroll)")

    def _end(self, viewer: Viewer, error: AuthenticationError) -> None:
        if viewer.ended is None:
            _log.warning("%s may look no more: %s", viewer.label, error.message)
            viewer.ended = error.message


@asynccontextmanager
async def open_viewers(
    profile: ConnectionProfile,
    identities: Sequence[SigningIdentity],
    clock_us: Callable[[], int],
    *,
    shared: bool = False,
) -> AsyncIterator[Viewers]:
    """A gateway for each identity, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        viewers = []
        for identity in identities[:MAX_VIEWERS]:
            gateway = await stack.enter_async_context(await connect(profile, identity=identity))
            viewers.append(Viewer(identity, gateway))
        yield Viewers(profile, viewers, clock_us, shared=shared)
