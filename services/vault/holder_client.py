"""Holders over HTTP, as dealers, readers and the base call them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient, path_of
from services.vault.wire import SIGNED, Answer, ContributeRequest, RebuildRequest, ServeRequest, StoredAnswer

TIMEOUT_S: Final = 60.0
_MAX_PROCESSES: Final = 1024
"""Processes of holders to which connections are kept; of more, those that were not called for longest are closed."""


class HolderCalls(Protocol):
    """What can be asked of holders. ``url`` is the one that a holder registered: ``https://HOST:PORT/holders/NAME``."""

    async def put(
        self, url: str, object_name: str, version: int, sealed: bytes, *, signed: bool = False
    ) -> StoredAnswer:
        """Send a sealed share; the answer comes when the holder's acknowledgement is valid on the ledger. With
        ``signed`` it comes once the share is on the disk, and has what the holder signed of it, unless the holder is an
        older one that acknowledges all the same."""

    async def serve(self, url: str, object_name: str, version: int, request: ServeRequest) -> Answer:
        """Ask for the share (in a repair for its fragments) under a committed read."""

    async def contribute(self, url: str, object_name: str, version: int, request: ContributeRequest) -> Answer:
        """Ask for a contribution to the repair of another holder's share."""

    async def rebuild(self, url: str, object_name: str, version: int, request: RebuildRequest) -> StoredAnswer:
        """Have a holder put its share together again."""

    async def describe(self, url: str) -> dict[str, Any]:
        """What the holder has."""


@dataclass(slots=True)
class _Process:
    """A process of holders, and how many calls of it are under way."""

    client: NodeClient
    calls: int = 0


class HolderClients:
    """One identity's connections to the processes of holders. Use it in one event loop, with ``async with``."""

    def __init__(self, identity: SigningIdentity, roots_pem: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._identity = identity
        self._roots = roots_pem
        self._timeout_s = timeout_s
        self._processes: dict[str, _Process] = {}
        """Those called last stand at the end."""

    async def __aenter__(self) -> HolderClients:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        processes, self._processes = list(self._processes.values()), {}
        for process in processes:
            await process.client.close()

    async def put(
        self, url: str, object_name: str, version: int, sealed: bytes, *, signed: bool = False
    ) -> StoredAnswer:
        """As :class:`HolderCalls`."""
        params = {"ack": SIGNED} if signed else {}
        return StoredAnswer.from_bytes(await self._post(url, object_name, version, "share", sealed, **params))

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
        async with self._at(url) as (client, path):
            answer: dict[str, Any] = jsontext.loads(await client.get(path, timeout_s=self._timeout_s))
        return answer

    async def _post(
        self,
        url: str,
        object_name: str,
        version: int,
        step: str,
        body: bytes,
        **params: str,
    ) -> bytes:
        async with self._at(url) as (client, path):
            where = path + path_of("objects", object_name, "versions", str(version), step)
            return await client.post(where, body, params=params, timeout_s=self._timeout_s)

    @asynccontextmanager
    async def _at(self, url: str) -> AsyncIterator[tuple[NodeClient, str]]:
        """The process of an address, and the holder's path there; :class:`InputError` for what is no address."""
        base, path = address_of(url)
        process = self._processes.pop(base, None) or _Process(NodeClient(base, self._identity, self._roots))
        self._processes[base] = process
        process.calls += 1
        try:
            await self._close_beyond_bound()
            yield process.client, path
        finally:
            process.calls -= 1

    async def _close_beyond_bound(self) -> None:
        idle = [base for base, process in self._processes.items() if process.calls == 0]
        for base in idle[: max(0, len(self._processes) - _MAX_PROCESSES)]:
            await self._processes.pop(base).client.close()


def address_of(url: str) -> tuple[str, str]:
    """The process's address and the path in a URL that a holder registered, which the contract checks by its letters
    only; :class:`InputError` where nobody can be called there."""
    try:
        parts = urlsplit(url)
        callable_there = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        callable_there = False
    if not callable_there:
        raise InputError(
            f"{url!r:.80} is no address that can be called: the holder has to join again with one such as "
            "https://127.0.0.1:5210/holders/m1-head, and be admitted"
        )
    return f"{parts.scheme}://{parts.netloc}", parts.path
