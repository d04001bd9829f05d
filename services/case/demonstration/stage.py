"""The demonstration's hand on the running network: whose identities it acts with, and what befalls processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, read_roots
from gridledger.demonstration.network import DemoNetwork
from gridledger.demonstration.processes import Processes
from gridledger.errors import SettingsError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import CompanionSpec
from gridledger.network.users import enroll_user
from gridledger.transport.node_client import NodeClient
from services.case.attributes import OPERATOR, ROLE
from services.case.ledger import AccessLedger, access_ledger
from services.case.light_nodes import LightNode, light_nodes_of
from services.case.replay.player import Actors, Event
from services.case.replay.story import Cast, Device

PROJECT: Final = Path(__file__).resolve().parents[3]
_TELL_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.2


class RealClock:
    """The machine's time."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000

    async def sleep_until(self, time_us: int) -> None:
        """Return at that time, or at once where it has gone by."""
        await asyncio.sleep(max(0.0, (time_us - self.now_us()) / 1e6))


@dataclass(slots=True)
class Stage:
    """A network of this machine, with its light nodes. Made by :func:`set_stage`.

    ``operators`` are sessions of the contract ``access`` by the operators' names, ``devices`` those of each light node.
    """

    profile: ConnectionProfile
    folder: NetworkFolder
    processes: Processes
    nodes: dict[str, LightNode]
    devices: Mapping[str, Sequence[Device]]
    operators: dict[str, AccessLedger]
    identities: dict[str, SigningIdentity]
    companions: Sequence[CompanionSpec]
    stack: AsyncExitStack

    async def actors(self, cast: Cast) -> Actors:
        """Who plays the story."""
        reporters = {organisation: self.operators[name] for name, organisation in cast.operators.items()}
        tellers = {name: await self.teller(name, self._someone(node, cast)) for name, node in self.nodes.items()}
        node_of = {each.device: name for name, devices in self.devices.items() for each in devices}
        return Actors(dict(self.operators), tellers, node_of, reporters)

    async def teller(self, name: str, caller: SigningIdentity) -> Callable[[Sequence[Event]], Awaitable[None]]:
        """How events are told to a light node."""
        node = self.nodes[name]
        client = await self.stack.enter_async_context(NodeClient(node.url, caller, read_roots(self.profile.roots)))

        async def tell(events: Sequence[Event]) -> None:
            await client.post("/events", jsontext.dumps(list(events)), timeout_s=_TELL_TIMEOUT_S)

        return tell

    async def teller_of(self, device: str, cast: Cast) -> Callable[[Sequence[Event]], Awaitable[None]]:
        """How a device's events are told to its light node."""
        name = next(node for node, held in self.devices.items() if any(each.device == device for each in held))
        return await self.teller(name, self._someone(self.nodes[name], cast))

    def _someone(self, node: LightNode, cast: Cast) -> SigningIdentity:
        """An operator of the light node's organisation."""
        return next(self.identities[name] for name, of in cast.operators.items() if of == node.organisation)


async def set_stage(
    network: DemoNetwork, folder: Path, cast: Cast, devices: Mapping[str, Sequence[Device]], stack: AsyncExitStack
) -> Stage:
    """Enrol the operators, and open their sessions with the ledger; those are open as long as ``stack`` is."""
    if network.supervisor is None:
        raise SettingsError("the demonstration kills processes of its network, so it starts one of its own")
    profile = network.profile
    stage = Stage(
        profile=profile,
        folder=NetworkFolder(folder),
        processes=Processes(network.supervisor),
        nodes={node.name: node for node in light_nodes_of(folder)},
        devices=devices,
        operators={},
        identities={},
        companions=network.supervisor.config.companions,
        stack=stack,
    )
    for name, organisation in cast.operators.items():
        identity = await enroll_user(profile, organisation, name, "client", {ROLE: OPERATOR})
        stage.identities[name] = identity
        stage.operators[name] = await stack.enter_async_context(access_ledger(profile, identity))
    stack.callback(stage.processes.connect_all)
    return stage


async def until(check: Callable[[], Awaitable[bool]], what: str, within_s: float) -> None:
    """Wait until ``check`` holds; :class:`UnavailableError` says what did not come."""
    deadline = time.monotonic() + within_s
    while not await check():
        if time.monotonic() > deadline:
            raise UnavailableError(f"{what}: not within {within_s:g} s")
        await asyncio.sleep(_POLL_S)
