"""The hosts of one chaincode: a bounded number of processes, a bounded queue before them."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from gridledger.contract.context import ClientIdentity
from gridledger.contract.hosting import wire
from gridledger.contract.hosting.calls import Call, Calls, Deliver, Errand, Outcome, Wanted, settle
from gridledger.contract.hosting.confinement import LOCK_FILE
from gridledger.contract.hosting.host_process import ChaincodeUnavailable, HostProcess, HostSettings
from gridledger.contract.hosting.wire import Reply
from gridledger.errors import BusyError, GridLedgerError
from gridledger.identity import Identity
from gridledger.protocol.proposal import Proposal

DEFAULT_SIZE: Final = 2
DEFAULT_TIMEOUT_S: Final = 5.0
DEFAULT_MEMORY_BYTES: Final = 512 * 1024 * 1024
DEFAULT_WAITING: Final = 256
DEFAULT_START_TIMEOUT_S: Final = 20.0
MAX_BATCH_BYTES: Final = 1024 * 1024
BATCH_S: Final = 0.02
"""How long a batch may take, by what calls took lately: slow ones go one by one, so that the hosts share them."""
PATIENCE_S: Final = 0.25
"""How long a batch may wait for one of its calls before the others run elsewhere."""
_FIRST_CALL_S: Final = 0.005
_SHORTEST_S: Final = 1e-6
_LEAST_SHARED: Final = 8
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
        self._queue: deque[Call] = deque()
        self._giving_out = False
        self._expiry: asyncio.TimerHandle | None = None
        self._call_s = _FIRST_CALL_S
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
        if self._expiry is not None:
            self._expiry.cancel()
        stopped = ChaincodeUnavailable(f"chaincode {self.name} is being stopped")
        waiting, self._queue = self._queue, deque()
        settle([(call, stopped) for call in waiting])
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
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        calls = self.call_many([Wanted(proposal, caller, transient)], partial(_answer, answered))
        try:
            outcome = await answered
        finally:
            # A caller that is cancelled does not cost the host: it finishes, and then takes the next batch.
            calls.give_up()
        if isinstance(outcome, GridLedgerError):
            raise outcome
        return outcome

    def call_many(self, wanted: Sequence[Wanted], deliver: Deliver) -> Calls:
        """Run many proposals, in batches as hosts become free; each outcome is delivered, as :meth:`call` gives it.

        Nothing is delivered before this returns. Several batches' calls see several heights, none lower than what was
        durable when they were asked for.
        """
        calls, loop = Calls(deliver), asyncio.get_running_loop()
        if not self._started:
            self._started = True
            for _ in range(self.size):
                _keep(self._starting, self._start_until_it_works())
        room = self._most_waiting + len(self._idle) * wire.MAX_BATCH - len(self._queue)
        if room < len(wanted):
            self._queue = deque(call for call in self._queue if not (call.done or call.calls.given_up))
            room = self._most_waiting + len(self._idle) * wire.MAX_BATCH - len(self._queue)
        room, deadline = max(0, room), loop.time() + self._wait_limit_s()
        refused: GridLedgerError | None = None
        if self._closed:
            room, refused = 0, ChaincodeUnavailable(f"chaincode {self.name} is stopped")
        elif room < len(wanted):
            refused = ChaincodeBusy(f"{len(self._queue)} proposals wait for chaincode {self.name}")
        for position, (proposal, caller, transient) in enumerate(wanted[:room]):
            request = wire.request(_caller_bytes(caller), proposal, transient)
            size = len(request.caller) + len(request.proposal) + len(request.transient)
            self._queue.append(Call(calls, position, proposal.channel, proposal.tx_id, request, size, deadline))
        if refused is not None:
            loop.call_soon(partial(calls.deliver, [(position, refused) for position in range(room, len(wanted))]))
        self._soon()
        return calls

    def status(self) -> dict[str, int]:
        """Hosts that run, hosts without work, calls that wait."""
        return {"size": self.size, "running": len(self._hosts), "idle": len(self._idle), "waiting": len(self._queue)}

    def _soon(self) -> None:
        """Give out the queue's calls when all that the loop has read by now is in it: more go in one batch."""
        if self._queue and not self._giving_out:
            self._giving_out = True
            asyncio.get_running_loop().call_soon(self._give_out)

    def _give_out(self) -> None:
        self._giving_out = False
        while self._queue and self._idle:
            host = self._idle.pop()
            if host.closed:
                self._replace(host)
                continue
            batch = self._next_batch()
            if not batch:
                self._idle.append(host)
                break
            self._send(host, batch)
        if self._queue and self._expiry is None:
            wait_s = min(call.deadline for call in self._queue) - asyncio.get_running_loop().time()
            self._expiry = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._expire)

    def _next_batch(self) -> list[Call]:
        batch: list[Call] = []
        size, most = 0, self._batch_limit()
        while self._queue and len(batch) < most:
            call = self._queue[0]
            if call.done or call.calls.given_up:
                self._queue.popleft()
                continue
            if batch and (call.alone or batch[0].alone or size + call.size > MAX_BATCH_BYTES):
                break
            batch.append(self._queue.popleft())
            size += call.size
        return batch

    def _batch_limit(self) -> int:
        """As many calls as take ``BATCH_S`` together, by what the quickest lately took; free hosts share a rest."""
        share = max(_LEAST_SHARED, -(-len(self._queue) // (len(self._idle) + 1)))
        return max(1, min(wire.MAX_BATCH, share, int(BATCH_S / self._call_s)))

    def _send(self, host: HostProcess, batch: list[Call]) -> None:
        loop = asyncio.get_running_loop()
        errand = Errand(host, batch, loop.time())
        if len(batch) > 1:
            errand.patience = loop.call_later(PATIENCE_S, self._lose_patience, errand)
        message = wire.write_batch([call.request for call in batch])
        host.ask(message, [call.tx_id for call in batch], self._call_timeout_s, partial(self._heard, errand))

    def _heard(self, errand: Errand, replies: list[tuple[int, bytes]] | GridLedgerError) -> None:
        """Take what a host says; when its batch is over, give it the next one, or put another host in its place."""
        if isinstance(replies, GridLedgerError):
            settle(self._ended_early(errand, replies))
            return
        outcomes: list[tuple[Call, Outcome]] = []
        last = False
        for kind, text in replies:
            call = errand.calls[errand.answered]
            errand.answered += 1
            last = last or kind == Reply.LAST_RESULT
            if kind in (Reply.RESULT, Reply.LAST_RESULT):
                outcomes.append((call, text.decode()))
            elif kind == Reply.STALE and self._has_ledger(call.channel) and call.attempts <= self.size:
                errand.replace_host = True
                self._again([call])
            elif kind == Reply.STALE:
                missing = f"channel {call.channel!r} has no ledger on this peer (yet)"
                outcomes.append((call, ChaincodeUnavailable(missing)))
            else:
                outcomes.append((call, wire.read_error(text)))
        if last or errand.answered == len(errand.calls):
            self._finish(errand, last)
        settle(outcomes)

    def _finish(self, errand: Errand, last: bool) -> None:
        if errand.patience is not None:
            errand.patience.cancel()
        # The least of the last ones, slowly forgotten: a wait for a busy processor says nothing of the chaincode.
        took_s = (asyncio.get_running_loop().time() - errand.begun) / len(errand.calls)
        self._call_s = max(_SHORTEST_S, min(took_s, 1.1 * self._call_s))
        self._again([call for position, call in errand.open() if position not in errand.taken_back])
        if last or errand.replace_host:
            self._replace(errand.host)
        else:
            self._hand_on(errand.host)

    def _ended_early(self, errand: Errand, error: GridLedgerError) -> list[tuple[Call, Outcome]]:
        """A host died, or hangs, over one call of a batch: that one fails, the others run again."""
        log.warning("chaincode %s: host %d is replaced: %s", self.name, errand.host.pid, error)
        if errand.patience is not None:
            errand.patience.cancel()
        guilty = 0 if len(errand.calls) == 1 else errand.host.running()
        failed: list[tuple[Call, Outcome]] = []
        again: list[Call] = []
        for position, call in errand.open():
            if position == guilty or call.attempts > self.size:
                failed.append((call, error))
            elif position not in errand.taken_back:
                call.alone = call.alone or guilty is None
                again.append(call)
        self._replace(errand.host)
        self._again(again)
        return failed

    def _lose_patience(self, errand: Errand) -> None:
        """A call lets those behind it wait: have them run elsewhere, and leave it this host for as long as it may."""
        loop = asyncio.get_running_loop()
        if errand.answered > errand.seen:
            errand.seen = errand.answered
            errand.patience = loop.call_later(PATIENCE_S, self._lose_patience, errand)
            return
        running = errand.host.running()
        behind = [(position, call) for position, call in errand.open() if position != running]
        errand.taken_back = frozenset(position for position, _ in behind)
        self._again([call for _, call in behind])

    def _again(self, calls: Sequence[Call]) -> None:
        """Queue calls once more, before all others."""
        if self._closed:
            stopped = ChaincodeUnavailable(f"chaincode {self.name} is being stopped")
            settle([(call, stopped) for call in calls])
            return
        deadline = asyncio.get_running_loop().time() + self._wait_limit_s()
        for call in reversed(calls):
            if not call.done:
                call.attempts += 1
                call.deadline = deadline
                self._queue.appendleft(call)
        self._soon()

    def _has_ledger(self, channel: str) -> bool:
        return (self._settings.ledger_dir / channel / LOCK_FILE).exists()

    def _wait_limit_s(self) -> float:
        # Before the first host is up, a call waits for Python to start and the package to load.
        return self._call_timeout_s if self._hosts else self._settings.start_timeout_s

    def _expire(self) -> None:
        """Tell those who have waited long enough."""
        self._expiry = None
        now = asyncio.get_running_loop().time()
        error: GridLedgerError = ChaincodeBusy(f"no host of chaincode {self.name} became free in time")
        if self._last_failure is not None and not self._hosts:
            error = ChaincodeUnavailable(self._last_failure.message)
        late = [call for call in self._queue if call.deadline <= now]
        self._queue = deque(call for call in self._queue if call.deadline > now)
        self._soon()
        settle([(call, error) for call in late])

    def _hand_on(self, host: HostProcess) -> None:
        if host.closed or self._closed:
            self._replace(host)
            return
        self._idle.append(host)
        self._give_out()

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


def _answer(answered: asyncio.Future[Outcome], outcomes: list[tuple[int, Outcome]]) -> None:
    if not answered.done():
        answered.set_result(outcomes[0][1])


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
