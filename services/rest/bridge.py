"""The bridge: makes callers' calls through the SDK, each as one of the identities that it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gridledger.client import ChaincodeEvent, Gateway, ProvedTransaction, SigningIdentity, Status, Timeouts, connect
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import TimeoutExceeded
from services.rest.bodies import Call
from services.rest.callers import Client
from services.rest.errors import IdentityUnknown
from services.rest.settings import RestSettings


@dataclass(frozen=True, slots=True)
class Submitted:
    """A committed, valid transaction: what the function returned, its status, and as whom it was made."""

    payload: Any
    status: Status
    identity: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"payload": self.payload, **self.status.to_dict(), "identity": self.identity}


class Bridge:
    """Gateways by the name of the identity. Made by :func:`open_bridge`."""

    def __init__(self, profile: ConnectionProfile, gateways: dict[str, Gateway]) -> None:
        self.profile = profile
        self.gateways = gateways

    def gateway(self, client: Client, identity: str | None = None) -> tuple[str, Gateway]:
        """The identity that a client's call is made as, and its gateway; :class:`IdentityUnknown` where it may not."""
        name = identity or next(iter(client.identities), "")
        if name not in client.identities:
            allowed = ", ".join(client.identities) or "none"
            raise IdentityUnknown(f"{client.name} may not act as {name!r}; it may act as: {allowed}")
        return name, self.gateways[name]

    async def submit(self, client: Client, channel: str, chaincode: str, call: Call) -> Submitted:
        """Have a function's transaction endorsed, ordered and committed."""
        name, gateway = self.gateway(client, call.identity)
        contract = gateway.get_network(channel).get_contract(chaincode)
        async with _within(call.timeout_s):
            payload, status = await contract.submit_with_status(
                call.function,
                *call.args,
                transient=call.transient,
                endorsing_organisations=call.endorsing_organisations or None,
                timeouts=_each(call.timeout_s),
            )
        return Submitted(payload, status, name)

    async def evaluate(self, client: Client, channel: str, chaincode: str, call: Call) -> Any:
        """What a function returns on one peer; nothing is ordered."""
        _, gateway = self.gateway(client, call.identity)
        contract = gateway.get_network(channel).get_contract(chaincode)
        async with _within(call.timeout_s):
            return await contract.evaluate_transaction(
                call.function, *call.args, transient=call.transient, timeouts=_each(call.timeout_s)
            )

    async def transaction(self, client: Client, channel: str, tx_id: str) -> ProvedTransaction:
        """A transaction with its proof, which is verified."""
        _, gateway = self.gateway(client)
        return await gateway.get_network(channel).get_transaction(tx_id)

    def events(
        self, client: Client, channel: str, chaincode: str, name: str | None, start_block: int | None
    ) -> AsyncIterator[ChaincodeEvent]:
        """Events of a chaincode from a block on, or from now on."""
        _, gateway = self.gateway(client)
        return gateway.get_network(channel).chaincode_events(chaincode, name=name, start_block=start_block)


@asynccontextmanager
async def open_bridge(settings: RestSettings) -> AsyncIterator[Bridge]:
    """The bridge with a gateway for each identity. Connections open when they are first needed."""
    profile = await asyncio.to_thread(load_profile, settings.connection)
    async with AsyncExitStack() as stack:
        gateways = {}
        for name, folder in settings.identities.items():
            identity = await asyncio.to_thread(SigningIdentity.load, folder)
            gateways[name] = await stack.enter_async_context(await connect(profile, identity=identity))
        yield Bridge(profile, gateways)


def _each(timeout_s: float) -> Timeouts:
    """Each step may take as long as the whole call."""
    return Timeouts(evaluate_s=timeout_s, endorse_s=timeout_s, submit_s=timeout_s, commit_status_s=timeout_s)


@asynccontextmanager
async def _within(timeout_s: float) -> AsyncIterator[None]:
    """Bound a whole call. What it has sent by then may still be committed."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise TimeoutExceeded(
            f"no answer within {timeout_s:g} s; a transaction may still be committed: look before sending it again"
        ) from None
