"""Changing a channel's configuration on a running network: from the present one to the next, until the nodes have it.

:func:`change_config` does all of it for a verb: it reads the present configuration, has the next one made of it,
collects the signatures that the keys in the network's folder can give, submits, and waits. Where another update comes
first it begins anew. :func:`draft_update` stops before the submission, for an update that travels in a file, and
:func:`submit_update` goes on from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from random import SystemRandom
from types import TracebackType
from typing import TypeVar

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.client.profile import ConnectionProfile
from gridledger.client.queries import read_config
from gridledger.errors import (
    BusyError,
    ConflictError,
    GridLedgerError,
    NotFoundError,
    TimeoutExceeded,
    UnavailableError,
)
from gridledger.identity.signer import SigningIdentity
from gridledger.network.config_signatures import ADMIN, Admins, SignedUpdate, check_complete, sign
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_authority import changes
from gridledger.protocol.config_update import ConfigUpdate, InvalidConfigUpdate, check_unsigned
from gridledger.protocol.fields import integer_of, object_of
from gridledger.protocol.transaction_status import Status
from gridledger.transport.node_client import NodeClient, path_of

ATTEMPTS = 5
"""How often an update is made anew because another one came first."""

WITHIN_S = 30.0
"""How long nodes are waited for."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5

_T = TypeVar("_T")
Change = Callable[[ChannelConfig], ChannelConfig]
"""Makes the changed configuration of the present one. Its sequence, and the members that follow from the others, are
filled in afterwards (:meth:`ChannelConfig.followed_by`). It may be called again, with a newer configuration."""


class UpdateOvertaken(ConflictError):
    """Another update of the channel's configuration came first. ``details``: the ``current`` sequence."""

    code = "UPDATE_OVERTAKEN"


@dataclass(frozen=True, slots=True)
class Draft:
    """The update that makes ``following`` of ``current``, with the signatures that the folder's keys could give. None
    where the configuration is that already."""

    current: ChannelConfig
    following: ChannelConfig
    signed: SignedUpdate | None


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change: the configuration that holds, who signed for it (as ``Org1/admin``; nobody where it held
    already), and the nodes that were not seen to have it."""

    config: ChannelConfig
    signers: tuple[str, ...]
    behind: tuple[str, ...]
    changed: bool = True


async def change_config(
    profile: ConnectionProfile,
    channel: str,
    change: Change,
    *,
    user: str | None = None,
    prepare: Callable[[], Awaitable[None]] | None = None,
    orderers: bool = False,
    attempts: int = ATTEMPTS,
    within_s: float = WITHIN_S,
) -> Changed:
    """Change a channel's configuration, and wait until its peers have the next one; its orderers too where told.

    ``prepare`` is done once, when the update is signed and before it is submitted.

    ``user``, as ``Org1/admin``, reads, submits and signs, and nobody else does; without one all admins sign whose keys
    are in the folder and whose signatures are needed.

    Raises :class:`PermissionDeniedError` where the signatures cannot be had here (its details: ``path``, ``policy``,
    ``missing``), :class:`UpdateOvertaken` where others came first each time, and what the change raises.
    """
    async with ChannelNodes(profile, channel, user) as nodes:
        least = 0
        for attempt in range(attempts):
            current = await nodes.config(least, within_s)
            draft, admins = _draft(profile, current, change, user)
            if draft.signed is None:
                return Changed(current, (), (), changed=False)
            check_complete(draft.current, draft.following, draft.signed, admins)
            if prepare is not None and attempt == 0:
                await prepare()
            try:
                await nodes.submit(draft.signed.update, draft.following.peers, within_s)
            except UpdateOvertaken as error:
                if attempt + 1 == attempts:
                    raise
                least = int(error.details["current"])
                continue
            behind = await nodes.reached(draft.following, within_s, orderers=orderers)
            return Changed(draft.following, draft.signed.names, behind)
    raise AssertionError("the last attempt returns or raises")


async def draft_update(
    profile: ConnectionProfile, channel: str, change: Change, *, user: str | None = None, within_s: float = WITHIN_S
) -> Draft:
    """The update that a change makes of the present configuration, for a file, signed by those whose keys are here."""
    async with ChannelNodes(profile, channel, user) as nodes:
        draft, _ = _draft(profile, await nodes.config(0, within_s), change, user)
        return draft


async def submit_update(
    profile: ConnectionProfile,
    update: ConfigUpdate,
    *,
    user: str | None = None,
    orderers: bool = False,
    within_s: float = WITHIN_S,
) -> Changed:
    """Submit an update that others have signed, and wait as :func:`change_config` does."""
    async with ChannelNodes(profile, update.channel, user) as nodes:
        await nodes.submit(update, update.config.peers, within_s)
        return Changed(update.config, (), await nodes.reached(update.config, within_s, orderers=orderers))


async def present_config(profile: ConnectionProfile, channel: str, *, user: str | None = None) -> ChannelConfig:
    """The channel's present configuration, from the first of its peers that answers."""
    async with ChannelNodes(profile, channel, user) as nodes:
        return await nodes.config(0, WITHIN_S)


def _draft(
    profile: ConnectionProfile, current: ChannelConfig, change: Change, user: str | None
) -> tuple[Draft, Admins]:
    time_us = _now_us()
    following = current.followed_by(change(current))
    following.check()
    admins = Admins.of(profile, current, time_us, user)
    if not changes(current.plain, following.plain):
        return Draft(current, current, None), admins
    check_unsigned(current, ConfigUpdate.build(following, time_us=time_us), time_us)
    return Draft(current, following, sign(current, following, admins, time_us)), admins


class ChannelNodes:
    """The nodes of one channel as a network's folder reaches them: each as ``user`` where one is given, else as its own
    organisation's admin where that key is in the folder, else as the network's first user. Use ``async with``."""

    def __init__(self, profile: ConnectionProfile, channel: str, user: str | None = None) -> None:
        if channel not in profile.channels:
            raise NotFoundError(f"there is no channel {channel!r}; there are: {', '.join(sorted(profile.channels))}")
        self._profile = profile
        self._channel = channel
        self._user = user
        self._peers = [name for name in profile.channels[channel].peers if name in profile.peers]
        if not self._peers:
            raise NotFoundError(f"the connection profile of {profile.name} names no peer of {channel}")
        self._clients: dict[str, NodeClient] = {}

    async def __aenter__(self) -> ChannelNodes:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    def client(self, name: str) -> NodeClient:
        """The client of a peer or an orderer."""
        if name not in self._clients:
            self._clients[name] = NodeClient.to(self._profile.way_to(name), self._identity(name))
        return self._clients[name]

    def _identity(self, name: str) -> SigningIdentity:
        profile = self._profile
        entry = profile.peers[name] if name in profile.peers else profile.orderers[name]
        own = f"{entry.organisation}/{ADMIN}"
        user = self._user or (own if own in profile.users() else None)
        return SigningIdentity.load(profile.user_folder(user))

    async def config(self, least: int, within_s: float) -> ChannelConfig:
        """The present configuration, of sequence ``least`` at least, from the first peer that has it."""

        async def read(name: str) -> ChannelConfig:
            config = await read_config(self.client(name), self._channel)
            if config.sequence < least:
                raise UnavailableError(f"{name} does not have configuration {least} of {self._channel} yet")
            return config

        return await self._first_of(self._peers, read, within_s)

    async def submit(self, update: ConfigUpdate, staying: Collection[str], within_s: float) -> None:
        """Have an update ordered, and see that it took effect, at a peer; one of those ``staying`` if there is any.

        To give it to the next peer where one does not answer is safe: on the ledger it comes once.
        """
        peers = sorted(self._peers, key=lambda name: name not in staying)
        uncertain = False

        async def give(name: str) -> Status:
            nonlocal uncertain
            node = self.client(name)
            try:
                answer = await node.post("/gateway/submit", update.to_bytes(), params={"wait": "commit"})
            except InvalidConfigUpdate as error:
                current = error.details.get("current")
                if type(current) is not int or current < update.sequence:
                    raise
                if uncertain and (status := await self._status(name, update)) is not None:
                    return status
                raise self._overtaken(update, current) from None
            except (UnavailableError, TimeoutExceeded):
                uncertain = True
                raise
            return Status.from_dict(jsontext.loads(answer))

        status = await self._first_of(peers, give, within_s)
        if not status.successful:
            raise self._overtaken(update, update.sequence)

    async def _status(self, name: str, update: ConfigUpdate) -> Status | None:
        """What became of an update that was submitted before, with an answer that was lost; None where nothing did."""
        path = path_of("channels", self._channel, "transactions", update.tx_id, "status")
        try:
            return Status.from_dict(await self.client(name).get_json(path, params={"wait_s": "5"}))
        except (NotFoundError, TimeoutExceeded):
            return None

    def _overtaken(self, update: ConfigUpdate, current: int) -> UpdateOvertaken:
        return UpdateOvertaken(
            f"another update of {self._channel} came first: the channel is at sequence {current}, and this one makes "
            f"{update.sequence}; make it anew from the present configuration, and have it signed anew",
            current=current,
        )

    async def reached(self, following: ChannelConfig, within_s: float, *, orderers: bool = False) -> tuple[str, ...]:
        """Wait until the peers that ``following`` names have it, and its orderers where told; those that were not seen
        to. A node that answers nothing now (it is down, or under ``following`` it refuses who asks) is one of these."""
        peers = {name: self._sequence_at_peer for name in self._peers if name in following.peers}
        others = {name: self._sequence_at_orderer for name in following.orderers if name in self._profile.orderers}
        asked: Mapping[str, Callable[[str], Awaitable[int]]] = {**peers, **(others if orderers else {})}
        seen = await asyncio.gather(*(self._has(ask, name, following, within_s) for name, ask in asked.items()))
        return tuple(name for name, there in zip(asked, seen, strict=True) if not there)

    async def _has(
        self, ask: Callable[[str], Awaitable[int]], name: str, following: ChannelConfig, within_s: float
    ) -> bool:
        async def look(node: str) -> bool:
            if await ask(node) < following.sequence:
                raise UnavailableError(f"{node} does not have it yet")
            return True

        try:
            return await self._first_of([name], look, within_s)
        except GridLedgerError:
            return False

    async def _sequence_at_peer(self, name: str) -> int:
        return (await read_config(self.client(name), self._channel)).sequence

    async def _sequence_at_orderer(self, name: str) -> int:
        told = await self.client(name).get_json(path_of("channels", self._channel))
        return integer_of(object_of(told, "a channel's state"), "config_sequence")

    async def _first_of(self, names: list[str], work: Callable[[str], Awaitable[_T]], within_s: float) -> _T:
        """What the first node says that can be asked, round and round; the last one's error where none could."""
        deadline = time.monotonic() + within_s
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        while True:
            for name in names:
                try:
                    return await work(name)
                except (UnavailableError, TimeoutExceeded, BusyError) as error:
                    last: GridLedgerError = error
            if time.monotonic() >= deadline:
                raise last
            await asyncio.sleep(backoff.failed())


def _now_us() -> int:
    return time.time_ns() // 1000
