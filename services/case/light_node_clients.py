"""The light nodes of a network as whoever collects evidence asks them: each device's events at the node that has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient

_TIMEOUT_S: Final = 30.0
_LOOK_S: Final = 5.0


class LightNodeClients:
    """As :class:`~services.case.off_chain.LightNodes`. ``urls``: the processes that may be light nodes, by name; which
    one speaks for a device is found by asking, and remembered. Use it in one event loop, and close it."""

    def __init__(self, urls: Mapping[str, str], identity: SigningIdentity, roots_pem: str) -> None:
        self._clients = {name: NodeClient(url, identity, roots_pem) for name, url in sorted(urls.items())}
        self._speaks: dict[str, NodeClient] = {}

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()

    async def get(self, device: str, path: str, params: Mapping[str, str]) -> bytes:
        """As :class:`~services.case.off_chain.LightNodes`."""
        client = await self._node_of(device)
        try:
            return await client.get(path, params=params, timeout_s=_TIMEOUT_S)
        except UnavailableError:
            self._speaks.pop(device, None)  # it may be another's when it is back
            raise

    async def get_json(self, device: str, path: str, params: Mapping[str, str]) -> Any:
        """As :class:`~services.case.off_chain.LightNodes`."""
        return jsontext.loads(await self.get(device, path, params))

    async def _node_of(self, device: str) -> NodeClient:
        if device in self._speaks:
            return self._speaks[device]
        why = "there is none"
        for name, client in self._clients.items():
            try:
                await client.get("/events", params={"device": device, "limit": "1"}, timeout_s=_LOOK_S)
            except GridLedgerError as error:
                why = f"{name}: {error.message}"
                continue
            self._speaks[device] = client
            return client
        raise UnavailableError(f"no light node that answers speaks for {device} ({why})")
