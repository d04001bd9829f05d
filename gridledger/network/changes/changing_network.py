"""A network's folder while the network changes: its description and what follows from it, its processes, its channels.

The description is written first, then what is made of it (the CA's settings, roots, connection profiles), so that a
change that was cut short finds all of it again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import SystemRandom
from typing import Any, TypeVar

from pydantic import ValidationError

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.client.ca import CAClient
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import (
    GridLedgerError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    TimeoutExceeded,
)
from gridledger.files import write_atomically
from gridledger.identity.signer import SigningIdentity
from gridledger.network.bootstrap import ADMIN, ca_settings, check_format, connection_profile, copy_into, write_json
from gridledger.network.config_changes import Change, Changed, change_config
from gridledger.network.control import ask
from gridledger.network.descriptions import network_now, write_network
from gridledger.network.folder import NetworkFolder
from gridledger.network.lock import is_running
from gridledger.network.processes import Service, check_ports
from gridledger.network.schema import ChannelSpec, NetworkConfig, NodeSpec, OrganisationSpec
from gridledger.transport.node_client import NodeClient

FOLLOWED_WITHIN_S = 180.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0

Say = Callable[[str], None]
"""Takes a line on a step that was done."""

_T = TypeVar("_T")


def check_network(folder: NetworkFolder) -> None:
    """Raise :class:`SettingsError` where the folder holds no network that was made whole, or one of another format."""
    network_now(folder)
    if not folder.connection.exists():
        raise SettingsError(f"the network in {folder.root} was not made whole: start it first (gridledger up)")
    check_format(folder)


class ChangingNetwork:
    """The network in a folder. ``say`` gets a line on each step; what is waited for has ``timeout_s`` each time."""

    def __init__(self, folder: NetworkFolder, say: Say, *, timeout_s: float = 120.0) -> None:
        """Raises :class:`SettingsError` where the folder holds no network."""
        self.folder = folder
        self.say = say
        self.timeout_s = timeout_s
        check_network(folder)
        self.config = network_now(folder)

    @property
    def profile(self) -> ConnectionProfile:
        """The connection profile as it now is."""
        return load_profile(self.folder.root)

    # What the folder says

    def organisation(self, name: str) -> OrganisationSpec:
        """An organisation; :class:`NotFoundError` where there is none of this name."""
        return _named(name, "organisation", self.config.organisations, lambda item: item.name)

    def peer(self, name: str) -> NodeSpec:
        """A peer; :class:`NotFoundError` where there is none of this name."""
        return _named(name, "peer", self.config.peers, lambda item: item.name)

    def orderer(self, name: str) -> NodeSpec:
        """An orderer; :class:`NotFoundError` where there is none of this name."""
        return _named(name, "orderer", self.config.orderers, lambda item: item.name)

    def check_channels(self, names: Sequence[str]) -> None:
        """Raise :class:`NotFoundError` for a channel that the network does not have."""
        for name in names:
            _named(name, "channel", list(self.config.channels), lambda item: item)

    def check_port(self, node: NodeSpec) -> None:
        """Raise PortTaken where a process on this machine has a new node's port."""
        url = self.config.url(node)
        check_ports(
            self.config, [Service(node.name, "", self.folder.node(node.name), url, node.port, self.folder.roots)]
        )

    def changed(self, **members: Any) -> NetworkConfig:
        """The description with other members; :class:`InputError` where they do not fit together."""
        changed = self.config.model_copy(update=members)
        try:
            return NetworkConfig.model_validate(changed.model_dump(mode="json"))
        except ValidationError as error:
            said = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
            raise InputError(f"the network cannot be so: {said}") from None

    def with_channel(self, name: str, **members: Any) -> NetworkConfig:
        """The description with other members of one channel."""
        channel: ChannelSpec = self.config.channels[name].model_copy(update=members)
        return self.changed(channels={**self.config.channels, name: channel})

    def keep(self, config: NetworkConfig) -> None:
        """Keep the network as it now is, and write what follows from it for clients and for the CA service."""
        self.config = config
        write_network(self.folder, config)
        self._write_ca_settings()
        roots = {item.name: root for item in config.organisations if (root := self.root_of(item.name))}
        write_atomically(self.folder.roots, "".join(roots.values()).encode("ascii"))
        profile, published = (connection_profile(config, roots, published=outside) for outside in (False, True))
        for spec in config.companions:
            home = self.folder.companion(spec.name)
            if (home / self.folder.connection.name).exists():
                copy_into(self.folder.roots, home)
                write_json(home / self.folder.connection.name, profile)
        if published != profile:
            write_json(self.folder.host_connection, published)
        write_json(self.folder.connection, profile)

    def root_of(self, organisation: str) -> str:
        """An organisation's root certificates (PEM); empty where they are not known yet."""
        file = self.folder.organisation(organisation) / "root.pem"
        return file.read_text(encoding="ascii") if file.exists() else ""

    def keep_root(self, organisation: str, pem: str) -> None:
        """Keep an organisation's root certificates."""
        file = self.folder.organisation(organisation) / "root.pem"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, pem.encode("ascii"))

    # What runs

    def ca(self, organisation: str) -> CAClient:
        """The client of an organisation's CA; :class:`InputError` where that is not hosted here."""
        if self.organisation(organisation).elsewhere:
            raise InputError(f"the CA of {organisation} is elsewhere: enrol there, with the tools of that CA")
        return CAClient(self.config.url(self.config.ca), organisation, self.folder.ca_tls_root)

    def admin(self, organisation: str) -> SigningIdentity:
        """An organisation's admin; :class:`NotFoundError` where the key is not in the folder."""
        home = self.folder.user(organisation, ADMIN)
        if not (home / "cert.pem").exists():
            raise NotFoundError(f"the key of {organisation}/{ADMIN} is not in {home}: this is its affair")
        return SigningIdentity.load(home)

    def node(self, name: str) -> NodeClient:
        """A connection to a node of the profile, as its own organisation's admin. To be closed."""
        profile = self.profile
        entry = profile.peers[name] if name in profile.peers else profile.orderers[name]
        return NodeClient.to(profile.way_to(name), self.admin(entry.organisation))

    async def follow(self) -> None:
        """Have the processes on this machine follow the description; a line on each that changed."""
        if not is_running(self.folder):
            self.say("no supervisor runs here: start, restart or stop by yourself what this changes")
            return
        done = await asyncio.to_thread(partial(ask, self.folder, "refresh", timeout_s=FOLLOWED_WITHIN_S))
        for what, names in done.items():
            if names:
                self.say(f"{what}: {', '.join(names)}")

    async def change(self, channel: str, change: Change, what: str, *, orderers: bool = False) -> Changed:
        """Change a channel's configuration, and say who signed and who was not seen to have it."""
        done = await change_config(self.profile, channel, change, orderers=orderers)
        if not done.changed:
            self.say(f"{channel}: {what} already")
            return done
        behind = f"; not seen to have it yet: {', '.join(done.behind)}" if done.behind else ""
        self.say(
            f"{channel}: {what} (configuration {done.config.sequence}, signed by {', '.join(done.signers)}){behind}"
        )
        return done

    async def until(self, look: Callable[[], Awaitable[_T | None]], what: str) -> _T:
        """The first answer of ``look`` that is not None; :class:`TimeoutExceeded` where none comes in time.

        What is refused for another reason than that a node is not there, or not yet, is raised at once.
        """
        deadline = time.monotonic() + self.timeout_s
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        last = ""
        while time.monotonic() < deadline:
            try:
                answer = await look()
            except PermissionDeniedError:
                raise
            except GridLedgerError as error:
                last, answer = f": {error.message}", None
            if answer is not None:
                return answer
            await asyncio.sleep(backoff.failed())
        raise TimeoutExceeded(f"{what} is not so after {self.timeout_s:g} s{last}; run this again to go on")

    async def from_a_peer(self, channel: str, ask: Callable[[NodeClient], Awaitable[_T]], *, but: str = "") -> _T:
        """What the first peer of a channel answers that can be asked; not the peer ``but``."""
        peers = itertools.cycle([name for name in self.config.channels[channel].peers if name != but])

        async def look() -> _T:
            async with self.node(next(peers)) as node:
                return await ask(node)

        return await self.until(look, f"that another peer of {channel} answers")

    def write_port(self, node: str, port: int) -> None:
        """Change the port at which a node listens from its next start on."""
        file = self.folder.node(node) / "config.json"
        write_json(file, {**jsontext.loads(file.read_bytes()), "port": port})

    def _write_ca_settings(self) -> None:
        """The organisations that the CA service hosts; all else in its settings stays."""
        file = self.folder.ca / "config.json"
        if file.exists():
            settings = jsontext.loads(file.read_bytes())
            changed = {**settings, "organisations": ca_settings(self.config, self.folder)["organisations"]}
            if changed != settings:
                write_json(file, changed)


def _named(name: str, what: str, there: Sequence[_T], name_of: Callable[[_T], str]) -> _T:
    for item in there:
        if name_of(item) == name:
            return item
    raise NotFoundError(f"there is no {what} {name!r}; there are: {', '.join(map(name_of, there))}")
