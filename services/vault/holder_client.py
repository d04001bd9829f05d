"""Holders over HTTP, as dealers, readers and the base call them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from gridledger import jsontext
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient, path_of
from services.vault.wire import Answer, ContributeRequest, RebuildRequest, ServeRequest, StoredAnswer

TIMEOUT_S: Final = 60.0
_MAX_PROCESSES: Final = 1024


class HolderCalls(Protocol):
    """What can be asked of holders. ``url`` is the one that a holder registered: ``https://HOST:PORT/holders/NAME``."""

    async def put(self, url: str, object_name: str, version: int, sealed: bytes) -> StoredAnswer:
        """Send a sealed share; the answer comes when the holder's acknowledgement is valid on the ledger."""

    async def serve(self, url: str, object_name: str, version: int, request: ServeRequest) -> Answer:
        """Ask for the share (in a repair for its fragments) under a committed read."""

    async def contribute(self, url: str, object_name: str, version: int, request: ContributeRequest) -> Answer:
        """Ask for a contribution to the repair of another holder's share."""

    async def rebuild(self, url: str, object_name: str, version: int, request: RebuildRequest) -> StoredAnswer:
        """Have a holder put its share together again."""

    async def describe(self, url: str) -> dict[str, Any]:
        """What the holder has."""


class HolderClients:
    """One identity's connections to the processes of holders. Use it in one event loop, with ``async with``."""

    def __init__(self, identity: SigningIdentity, roots_pem: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._identity = identity
        self._roots = roots_pem
        self._timeout_s = timeout_s
        self._nodes: dict[str, NodeClient] = {}

    async def __aenter__(self) -> HolderClients:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        nodes, self._nodes = list(self._nodes.values()), {}
        for node in nodes:
            await node.close()

    async def put(self, url: str, object_name: str, version: int, sealed: bytes) -> StoredAnswer:
        """As :class:`HolderCalls`."""
        return StoredAnswer.from_bytes(await self._post(url, object_name, version, "share", sealed))

    async def serve(self, url: str, object_name: str, version: int, request: ServeRequest) -> Answer:
        """As :class:`HolderCalls`."""
        return Answer.from_bytes(await self._post(url, object_name, version, "serve", request.to_bytes()))

    async def contribute(self, url: str, object_name: str, version: int, request: ContributeRequest) -> Answer:
        """As :class:`HolderCalls`."""
        return Answer.from_bytes(await self._post(url, object_name, version, "contribute", request.to_bytes()))

    async def rebuild(self, url: str, object_name: str, version: int, request: RebuildRequest) -> StoredAnswer:
        """As :class:`HolderCalls`."""
        return StoredAnswer.from_bytes(await self._post(url, object_name, version, "rebuild", request.to_bytes()))

    async def describe(self, url: str) -> dict[str, Any]:
        """As :class:`HolderCalls`."""
        node, path = self._at(url)
        answer: dict[str, Any] = jsontext.loads(await node.get(path, timeout_s=self._timeout_s))
        return answer

    async def _post(self, url: str, object_name: str, version: int, step: str, body: bytes) -> bytes:
        node, path = self._at(url)
        return await node.post(
            path + path_of("objects", object_name, "versions", str(version), step), body, timeout_s=self._timeout_s
        )

    def _at(self, url: str) -> tuple[NodeClient, str]:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        node = self._nodes.get(base)
        if node is None:
            if len(self._nodes) >= _MAX_PROCESSES:
                raise ValueError(f"more than {_MAX_PROCESSES} processes of holders")
            node = self._nodes[base] = NodeClient(base, self._identity, self._roots)
        return node, parts.path
