"""A pool of hosts for one chaincode: a bounded number of processes, and a bounded queue of calls before them.

A call waits in the queue until a host is free, and then goes to it in a batch with others. Each host has a task that
gives it batch after batch (:meth:`HostPool._serve`) and settles the calls as their replies come.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.contract.context import ClientIdentity
from gridledger.contract.hosting import wire
from gridledger.contract.hosting.call_queue import Call, CallQueue, ChaincodeBusy
from gridledger.contract.hosting.confinement import LEDGER_FILE
from gridledger.contract.hosting.guarded_views import GuardedViews
from gridledger.contract.hosting.host_process import (
    ChaincodeCrashed,
    ChaincodeUnavailable,
    HostProcess,
    HostSettings,
)
from gridledger.contract.hosting.wire import Reply
from gridledger.errors import GridLedgerError
from gridledger.identity import Identity
from gridledger.protocol.proposal import Proposal
from gridledger.shares import NOBODY

DEFAULT_SIZE: Final = 2
DEFAULT_TIMEOUT_S: Final = 5.0
DEFAULT_MEMORY_BYTES: Final = 512 * 1024 * 1024
DEFAULT_WAITING: Final = 256
DEFAULT_START_TIMEOUT_S: Final = 20.0
BATCH_S: Final = 0.02
"""How long a batch may take, by what calls took lately: slow ones go one by one, so that the hosts share them."""
STUCK_S: Final = 0.25
"""How long a call of a batch may take before those behind it are given to other hosts."""
_FIRST_CALL_S: Final = 0.005
_SHORTEST_CALL_S: Final = 1e-6
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Batch:
    """Calls that one host runs one after the other: the first ``answered`` are done, those at the positions
    ``elsewhere`` were queued again because a call before them is stuck."""

    calls: list[Call]
    answered: int = 0
    elsewhere: frozenset[int] = field(default_factory=frozenset)

    def open(self) -> list[tuple[int, Call]]:
        """The calls that are not answered, with their positions."""
        return [(position, self.calls[position]) for position in range(self.answered, len(self.calls))]


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
        self._views = GuardedViews(self._settings.ledger_dir)
        self._call_timeout_s = call_timeout_s
        self._queue = CallQueue(self.name, waiting, self._wait_limit_s, self._expired)
        self._hosts: set[HostProcess] = set()
        self._call_s = _FIRST_CALL_S
        self._last_failure: ChaincodeUnavailable | None = None
        self._places: list[asyncio.Task[None]] = []
        self._outdated: set[HostProcess] = set()
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
        starts = [self._start() for _ in range(self.size)]
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
        hosts = [outcome for outcome in outcomes if isinstance(outcome, HostProcess)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await asyncio.gather(*(host.kill() for host in hosts))
                raise outcome
        self._fill_places(hosts)

    async def close(self) -> None:
        """Kill all hosts. Calls that wait or run end in :class:`ChaincodeUnavailable`."""
        self._closed = True
        for place in self._places:
            place.cancel()
        await asyncio.gather(*self._places, return_exceptions=True)
        self._views.close()
        self._queue.close(self._stopped)

    async def call(
        self, proposal: Proposal, caller: Identity | ClientIdentity, transient: Mapping[str, Any] | None = None
    ) -> str:
        """Run ``proposal``, signed by ``caller``; the text of its result.

        A refusal by the chaincode is a result too, with a status of 400 or more. Raises :class:`ChaincodeBusy` (429),
        ChaincodeTimeout (504), ChaincodeCrashed (502), ChaincodeUnavailable (503), and what the host says of the
        proposal itself (malformed). A caller that is cancelled does not cost the host: it finishes the call.
        """
        if self._closed:
            raise self._stopped()
        if not self._places:
            self._fill_places([])
        request = wire.request(_caller_bytes(caller), proposal, transient)
        signer = caller.signer if isinstance(caller, Identity) else NOBODY
        return await self._queue.add(proposal.channel, request, signer)

    def forget_ledger(self, channel: str) -> None:
        """Let go of the ledger of a channel that was removed: hosts, which may have it open, are replaced one by one,
        each after the batch that it runs."""
        self._views.forget(channel)
        self._outdated |= self._hosts
        self._queue.wake_all()

    def status(self) -> dict[str, int]:
        """Hosts that run, hosts without work, calls that wait."""
        return {"size": self.size, "running": len(self._hosts), "idle": self._queue.idle, "waiting": len(self._queue)}

    async def _start(self) -> HostProcess:
        return await HostProcess.start(self._settings._replace(map_bytes=self._views.map_bytes()))

    def _fill_places(self, hosts: Sequence[HostProcess]) -> None:
        for place in range(self.size):
            work = self._keep_a_host(hosts[place] if place < len(hosts) else None)
            self._places.append(asyncio.get_running_loop().create_task(work))

    async def _keep_a_host(self, host: HostProcess | None) -> None:
        """Have a host at work, and another one when it is of no more use."""
        while True:
            host = host or await self._start_until_it_works()
            self._hosts.add(host)
            if self._outdated:
                self._queue.wake_all()
            try:
                await self._serve(host)
            finally:
                self._hosts.discard(host)
                self._outdated.discard(host)
                await host.kill()
            host = None

    async def _start_until_it_works(self) -> HostProcess:
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())
        while True:
            try:
                host = await self._start()
            except ChaincodeUnavailable as error:
                self._last_failure = error
                pause_s = backoff.failed()
                _log.warning("%s; next attempt in %.1f s", error.message, pause_s)
                await asyncio.sleep(pause_s)
            else:
                self._last_failure = None
                return host

    async def _serve(self, host: HostProcess) -> None:
        """Give a host batch after batch; returns when it must be replaced."""
        while calls := await self._next_calls(host):
            batch = Batch(calls)
            try:
                # Until the host has answered the whole batch, or is given up, what it reads stays as it is.
                views = self._views.hold({call.channel for call in calls})
            except GridLedgerError as error:  # a ledger cannot be read, and the host is not to blame
                for call in calls:
                    call.settle(error)
                continue
            try:
                if await self._run(host, batch):
                    return
            except GridLedgerError as error:
                _log.warning("chaincode %s: host %d is replaced: %s", self.name, host.pid, error)
                self._fail(batch, host.running(), error)
                return
            except asyncio.CancelledError:
                for call in calls:
                    call.settle(self._stopped())
                raise
            except Exception:
                _log.exception("chaincode %s: host %d is replaced", self.name, host.pid)
                for call in calls:
                    call.settle(ChaincodeCrashed("the peer failed to read a host's reply; its log says why"))
                return
            finally:
                self._views.release(views)

    async def _next_calls(self, host: HostProcess) -> list[Call]:
        """Wait for calls for a host; none when it has ended meanwhile."""
        while not host.closed:
            if host in self._outdated and len(self._hosts) == self.size:
                break
            # As many as take BATCH_S together, by what the quickest lately took.
            if calls := self._queue.take(max(1, min(wire.MAX_BATCH, int(BATCH_S / self._call_s)))):
                return calls
            await self._queue.wait()
        self._queue.wake()  # this host was woken, perhaps, and takes nothing
        return []

    async def _run(self, host: HostProcess, batch: Batch) -> bool:
        """Have a host run a batch, and settle its calls; whether the host is to be replaced.

        Raises what ends the host: ChaincodeTimeout, ChaincodeCrashed, or that it says what cannot be read.
        """
        loop, replace = asyncio.get_running_loop(), False
        begun = loop.time()
        host.send([call.request for call in batch.calls], self._call_timeout_s)
        while batch.answered < len(batch.calls) and not replace:
            may_be_stuck = len(batch.calls) > 1 and not batch.elsewhere
            replies = await host.replies(STUCK_S if may_be_stuck else None)
            if not replies:
                self._run_elsewhere(batch, host.running())
            for kind, text in replies:
                replace = self._settle(batch, kind, text) or replace
        # The least of the last ones, slowly forgotten: a wait for a busy processor says nothing of the chaincode.
        took_s = (loop.time() - begun) / len(batch.calls)
        self._call_s = max(_SHORTEST_CALL_S, min(took_s, 1.1 * self._call_s))
        self._queue.add_again([call for position, call in batch.open() if position not in batch.elsewhere])
        return replace

    def _settle(self, batch: Batch, kind: int, text: bytes) -> bool:
        """Settle the next call of a batch; whether its host is to be replaced, and runs no more of the batch."""
        call = batch.calls[batch.answered]
        batch.answered += 1
        try:
            if kind in (Reply.RESULT, Reply.LAST_RESULT):
                call.settle(wire.read_result(text))
            elif kind == Reply.STALE and self._has_ledger(call.channel) and call.attempts <= self.size:
                self._queue.add_again([call])
                return True
            elif kind == Reply.STALE:
                call.settle(ChaincodeUnavailable(f"channel {call.channel!r} has no ledger on this peer (yet)"))
            else:
                call.settle(wire.read_error(text))
        except GridLedgerError as error:
            call.settle(error)
            raise
        return kind == Reply.LAST_RESULT

    def _run_elsewhere(self, batch: Batch, running: int | None) -> None:
        """One call of a batch is stuck: queue those behind it again, and leave it its host for as long as it may."""
        behind = [(position, call) for position, call in batch.open() if position != running]
        batch.elsewhere = frozenset(position for position, _ in behind)
        self._queue.add_again([call for _, call in behind])

    def _fail(self, batch: Batch, running: int | None, error: GridLedgerError) -> None:
        """A host died, or hangs, over one call of a batch: that one fails, the others are queued again."""
        guilty = 0 if len(batch.calls) == 1 else running
        again: list[Call] = []
        for position, call in batch.open():
            if position == guilty or call.attempts > self.size:
                call.settle(error)
            elif position not in batch.elsewhere:
                call.alone = call.alone or guilty is None
                again.append(call)
        self._queue.add_again(again)

    def _wait_limit_s(self) -> float:
        # Before the first host is up, a call waits for Python to start and the package to load.
        return self._call_timeout_s if self._hosts else self._settings.start_timeout_s

    def _expired(self) -> GridLedgerError:
        if self._last_failure is not None and not self._hosts:
            return ChaincodeUnavailable(self._last_failure.message)
        return ChaincodeBusy(f"no host of chaincode {self.name} became free in time")

    def _has_ledger(self, channel: str) -> bool:
        return (self._settings.ledger_dir / channel / LEDGER_FILE).exists()

    def _stopped(self) -> ChaincodeUnavailable:
        return ChaincodeUnavailable(f"chaincode {self.name} is stopped")


def client_identity(identity: Identity) -> ClientIdentity:
    """What a contract gets to see of a caller, after Fabric: the id names subject and issuer of the certificate."""
    certificate = identity.certificate
    return ClientIdentity(
        id=f"x509::{certificate.subject}::{certificate.issuer}",
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
