"""The hosts of one chaincode: a bounded number of processes, a bounded queue before them."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from gridledger.contract import wire
from gridledger.contract.confinement import LOCK_FILE
from gridledger.contract.context import ClientIdentity
from gridledger.contract.host_process import ChaincodeUnavailable, HostProcess, HostSettings
from gridledger.contract.wire import Reply
from gridledger.errors import BusyError
from gridledger.identity import Identity
from gridledger.protocol.proposal import Proposal

DEFAULT_SIZE: Final = 2
DEFAULT_TIMEOUT_S: Final = 5.0
DEFAULT_MEMORY_BYTES: Final = 512 * 1024 * 1024
DEFAULT_WAITING: Final = 256
DEFAULT_START_TIMEOUT_S: Final = 20.0
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

log = logging.getLogger(__name__)


class ChaincodeBusy(BusyError):
    """As many proposals as may wait for this chaincode are waiting already, or this one has waited too long."""

    code = "CHAINCODE_BUSY"


class HostPool:
    """Runs proposals of one chaincode package on hosts that may hang, die or eat memory without harm to anyone else.

    ``package_dir`` holds the unpacked package, ``ledger_dir`` a folder for each channel. A call that takes longer than
    ``call_timeout_s`` loses its host, which is killed and replaced; a call waits for a free host no longer than that
    either. ``memory_bytes`` bounds each host's private memory. At most ``waiting`` calls queue.
    """

    def __init__(
        self,
        package_dir: Path,
        ledger_dir: Path,
        *,
        name: str | None = None,
        size: int = DEFAULT_SIZE,
        call_timeout_s: float = DEFAULT_TIMEOUT_S,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        waiting: int = DEFAULT_WAITING,
        start_timeout_s: float = DEFAULT_START_TIMEOUT_S,
    ) -> None:
        self.name = name or package_dir.name
        self.size = size
        self._settings = HostSettings(
            self.name, package_dir.resolve(), ledger_dir.resolve(), memory_bytes, start_timeout_s
        )
        self._call_timeout_s = call_timeout_s
        self._most_waiting = waiting
        self._idle: list[HostProcess] = []
        self._hosts: set[HostProcess] = set()
        self._queue: deque[asyncio.Future[HostProcess]] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._last_failure: ChaincodeUnavailable | None = None
        self._started = False
        self._closed = False

    async def __aenter__(self) -> HostPool:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start all hosts side by side; :class:`ChaincodeUnavailable` when the package cannot be loaded.

        Without this, the first call starts them.
        """
        self._started = True
        outcomes = await asyncio.gather(*(self._start_one() for _ in range(self.size)), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.close()
                raise outcome

    async def close(self) -> None:
        """Kill all hosts. Calls that wait end in ChaincodeUnavailable, those that run in ChaincodeCrashed."""
        self._closed = True
        for task in self._starting:
            task.cancel()
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_exception(ChaincodeUnavailable(f"chaincode {self.name} is being stopped"))
        hosts = list(self._hosts)
        self._hosts.clear()
        self._idle.clear()
        killing = [host.kill() for host in hosts]
        await asyncio.gather(*killing, *self._starting, *self._ending, return_exceptions=True)

    async def call(
        self, proposal: Proposal, caller: Identity | ClientIdentity, transient: Mapping[str, Any] | None = None
    ) -> str:
        """Run ``proposal``, signed by ``caller``; the text of its result.

        A refusal by the chaincode is a result too, with a status of 400 or more. Raises :class:`ChaincodeBusy` (429),
        ChaincodeTimeout (504), ChaincodeCrashed (502), ChaincodeUnavailable (503), and what the host says of the
        proposal itself (malformed).
        """
        request = wire.request(_caller_bytes(caller), proposal.text, transient)
        # One attempt more than there may be hosts that were confined before this channel came.
        for _ in range(self.size + 1):
            host = await self._take()
            reply = host.ask(request, proposal.tx_id, self._call_timeout_s)
            reply.add_done_callback(partial(self._finish, host, proposal.channel))
            # A caller that is cancelled does not cost the host: it finishes, and then takes the next call.
            kind, text = await asyncio.shield(reply)
            if kind in (Reply.RESULT, Reply.LAST_RESULT):
                return text.decode()
            if kind == Reply.ERROR:
                raise wire.read_error(text)
            if not self._has_ledger(proposal.channel):
                break
        raise ChaincodeUnavailable(f"channel {proposal.channel!r} has no ledger on this peer (yet)")

    def status(self) -> dict[str, int]:
        """Hosts that run, hosts without work, calls that wait."""
        return {"size": self.size, "running": len(self._hosts), "idle": len(self._idle), "waiting": len(self._queue)}

    def _finish(self, host: HostProcess, channel: str, reply: asyncio.Future[tuple[int, bytes]]) -> None:
        """Give a host that has answered its next call, or put another in its place."""
        error = reply.exception()
        if error is not None:
            log.warning("chaincode %s: host %d is replaced: %s", self.name, host.pid, error)
            self._replace(host)
            return
        kind, _ = reply.result()
        if kind == Reply.LAST_RESULT or (kind == Reply.STALE and self._has_ledger(channel)):
            self._replace(host)
        else:
            self._hand_on(host)

    def _has_ledger(self, channel: str) -> bool:
        return (self._settings.ledger_dir / channel / LOCK_FILE).exists()

    async def _take(self) -> HostProcess:
        if self._closed:
            raise ChaincodeUnavailable(f"chaincode {self.name} is stopped")
        if not self._started:
            self._started = True
            for _ in range(self.size):
                _keep(self._starting, self._start_until_it_works())
        while self._idle:
            host = self._idle.pop()
            if not host.closed:
                return host
            self._replace(host)
        if len(self._queue) >= self._most_waiting:
            raise ChaincodeBusy(f"{len(self._queue)} proposals wait for chaincode {self.name}")
        return await self._wait_for_host()

    async def _wait_for_host(self) -> HostProcess:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[HostProcess] = loop.create_future()
        self._queue.append(future)
        timer = loop.call_later(self._wait_limit_s(), self._give_up, future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._hand_on(future.result())
            raise
        finally:
            timer.cancel()
            if not future.done() or future.cancelled() or future.exception() is not None:
                with suppress(ValueError):
                    self._queue.remove(future)

    def _wait_limit_s(self) -> float:
        # Before the first host is up, a call waits for Python to start and the package to load.
        return self._call_timeout_s if self._hosts else self._settings.start_timeout_s

    def _give_up(self, future: asyncio.Future[HostProcess]) -> None:
        if not future.done():
            if self._last_failure is not None and not self._hosts:
                future.set_exception(ChaincodeUnavailable(self._last_failure.message))
            else:
                future.set_exception(ChaincodeBusy(f"no host of chaincode {self.name} became free in time"))

    def _hand_on(self, host: HostProcess) -> None:
        if host.closed or self._closed:
            self._replace(host)
            return
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.set_result(host)
                return
        self._idle.append(host)

    def _replace(self, host: HostProcess) -> None:
        if host not in self._hosts:
            return
        self._hosts.remove(host)
        _keep(self._ending, host.kill())
        if not self._closed:
            _keep(self._starting, self._start_until_it_works())

    async def _start_one(self) -> None:
        host = await HostProcess.start(self._settings)
        if self._closed:
            await host.kill()
            return
        self._last_failure = None
        self._hosts.add(host)
        self._hand_on(host)

    async def _start_until_it_works(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closed:
            try:
                await self._start_one()
            except ChaincodeUnavailable as error:
                self._last_failure = error
                log.warning("%s; next attempt in %.1f s", error.message, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` as a task that is in ``tasks`` until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def client_identity(identity: Identity) -> ClientIdentity:
    """What a contract gets to see of a caller, after Fabric: the id names subject and issuer of the certificate."""
    certificate = identity.certificate
    subject, issuer = certificate.x509.subject.rfc4514_string(), certificate.x509.issuer.rfc4514_string()
    return ClientIdentity(
        id=f"x509::{subject}::{issuer}",
        mspid=identity.mspid,
        role=identity.role,
        attributes=certificate.attributes,
        certificate=b64encode(certificate.der).decode("ascii"),
    )


@lru_cache(4096)
def _bytes_of_identity(identity: Identity) -> bytes:
    return wire.caller_bytes(client_identity(identity))


def _caller_bytes(caller: Identity | ClientIdentity) -> bytes:
    return wire.caller_bytes(caller) if isinstance(caller, ClientIdentity) else _bytes_of_identity(caller)
