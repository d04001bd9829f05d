"""The gateways of a client, and the way to the next one when one fails. Nothing here is done while all is well.

A request goes to the first gateway that is well. What then happens depends on what the gateway does:

- It cannot be reached, stops, fails by a defect of its own, or is not on the channel: the same bytes go to the next
  one. That may repeat a submission, which does no harm: the next gateway tells the status of what is on the ledger, and
  of two copies on the chain only the first one counts.
- It hangs: nothing was heard for about a second, an answer to a PING included (:mod:`gridledger.transport.call_client`
  says why not a time-out of the call). It may only be slow, so its answer is still waited for while the next one is
  asked too, and the first answer counts. Requests are doubled only then, never because a network is busy: a node that
  is slow at its work still answers a PING.
- It answers, be it with a refusal: that is the answer.

A gateway that failed or hangs is left out until it answers a PING. PINGs come with growing, random pauses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random, SystemRandom
from typing import Any, Generic, TypeVar

from gridledger.backoff import Backoff
from gridledger.client.connection import GatewayConnection
from gridledger.client.retry import Attempts
from gridledger.errors import BusyError, GridLedgerError, SettingsError, TimeoutExceeded
from gridledger.transport.call_client import NodeQuiet
from gridledger.transport.node_client import ConnectionFailed, NodeClient
from gridledger.waiting import first_done

MAX_GATEWAYS = 100
FIRST_PROBE_S, LONGEST_PROBE_S = 0.5, 10.0
PROBE_TIMEOUT_S = 1.0
ABSENT_S = 60.0
"""How long a gateway that was not on a channel is passed over there."""

_STOPPING = frozenset(("STOPPING", "PEER_STOPPING"))
_ABSENT = frozenset(("CHANNEL_UNKNOWN", "UNKNOWN_AUTHORITY"))
_OWN_FAULT = frozenset(("INTERNAL", "REMOTE_ERROR", "COMMIT_TIMEOUT"))
_REFUSED_BEFORE = _STOPPING | _ABSENT
_MAX_ABSENCES = 1024

_T = TypeVar("_T")
Ask = Callable[[GatewayConnection, float], Coroutine[Any, Any, _T]]
"""Makes a request to one gateway, which may take so many seconds."""


def is_the_gateways(error: GridLedgerError) -> bool:
    """Whether this is a fault of the gateway alone, so that another one may answer."""
    return isinstance(error, ConnectionFailed | NodeQuiet) or error.code in _REFUSED_BEFORE | _OWN_FAULT


class Gateways:
    """A client's gateways, the preferred one first. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        members: Sequence[GatewayConnection],
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        if not 0 < len(members) <= MAX_GATEWAYS:
            raise SettingsError(f"a client has 1 to {MAX_GATEWAYS} gateways, not {len(members)}")
        self.members = tuple(members)
        self.clock = clock
        self.random = random or SystemRandom()
        self._failed: dict[GatewayConnection, asyncio.Task[None]] = {}
        self._absent: dict[tuple[GatewayConnection, str], float] = {}

    @property
    def alone(self) -> bool:
        """Whether there is one gateway only."""
        return len(self.members) == 1

    def best(self, channel: str | None = None, without: Sequence[GatewayConnection] = ()) -> GatewayConnection | None:
        """The first gateway that is well; one that failed where no other is left, None where none at all is."""
        if not (self._failed or self._absent or without):
            return self.members[0]
        now = self.clock()
        left = [
            member
            for member in self.members
            if member not in without and (channel is None or self._absent.get((member, channel), 0.0) <= now)
        ]
        return next((member for member in left if member not in self._failed), left[0] if left else None)

    async def call(self, channel: str, kind: int, body: bytes, timeout_s: float, attempts: Attempts) -> bytes:
        """Make a call of a kind in :mod:`gridledger.transport.call_frames`; the payload of the answer."""
        while True:
            first, began = self.best(channel) or self.members[0], self.clock()
            try:
                try:
                    return await first.calls.call(kind, body, timeout_s)
                except GridLedgerError as error:
                    if self.alone or not is_the_gateways(error):
                        raise
                    failure = error

                async def ask(member: GatewayConnection, left_s: float) -> bytes:
                    return await member.calls.call(kind, body, left_s)

                left_s = began + timeout_s - self.clock()
                return await _Race(self, channel, ask, left_s, attempts).run(first, failure)
            except BusyError as busy:
                pause_s = attempts.after_busy(busy)
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)

    async def read(
        self, channel: str | None, request: Callable[[NodeClient], Coroutine[Any, Any, _T]], timeout_s: float
    ) -> _T:
        """What a request that changes nothing gives."""
        first = self.best(channel) or self.members[0]
        try:
            return await first.request(request(first.node))
        except GridLedgerError as error:
            if self.alone or not is_the_gateways(error):
                raise
            failure = error

        async def ask(member: GatewayConnection, _: float) -> _T:
            return await member.request(request(member.node))

        return await _Race(self, channel, ask, timeout_s).run(first, failure)

    async def read_all(self, request: Callable[[NodeClient], Coroutine[Any, Any, _T]]) -> list[_T]:
        """What a request gives at each gateway that answers; the first error where none does."""
        work = [member.request(request(member.node)) for member in self.members]
        found = await asyncio.gather(*work, return_exceptions=True)
        for item in found:
            if isinstance(item, NodeQuiet):
                item.answer.cancel()
        good = [item for item in found if not isinstance(item, BaseException)]
        if not good:
            raise next(item for item in found if isinstance(item, BaseException))
        return good

    def note(self, member: GatewayConnection, channel: str | None, error: GridLedgerError) -> None:
        """Pass over a gateway that failed, or that is not on the channel."""
        if error.code in _ABSENT:
            if channel is not None:
                if len(self._absent) >= _MAX_ABSENCES:
                    self._absent.clear()
                self._absent[member, channel] = self.clock() + ABSENT_S
        elif error.code not in _OWN_FAULT and not isinstance(error, BusyError) and member not in self._failed:
            probing = asyncio.get_running_loop().create_task(self._probe(member), name=f"probe {member.node.base_url}")
            self._failed[member] = probing

    async def close(self) -> None:
        """Close all connections."""
        probes = list(self._failed.values())
        for task in probes:
            task.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        self._failed.clear()
        await asyncio.gather(*(member.close() for member in self.members))

    async def _probe(self, member: GatewayConnection) -> None:
        backoff = Backoff(FIRST_PROBE_S, LONGEST_PROBE_S, self.random)
        while True:
            await asyncio.sleep(backoff.failed())
            if await member.alive(PROBE_TIMEOUT_S):
                del self._failed[member]
                return


class _Race(Generic[_T]):
    """One request at several gateways: the first answer counts. At most one that is not known to hang is under way."""

    def __init__(
        self,
        gateways: Gateways,
        channel: str | None,
        ask: Ask[_T],
        timeout_s: float,
        attempts: Attempts | None = None,
    ) -> None:
        self._gateways = gateways
        self._channel = channel
        self._ask = ask
        self._attempts = attempts
        self._deadline = gateways.clock() + timeout_s
        self._tried: list[GatewayConnection] = []
        self._failures: list[GridLedgerError] = []
        self._under_way: dict[asyncio.Future[Any], GatewayConnection] = {}
        self._quiet: set[asyncio.Future[Any]] = set()

    async def run(self, first: GatewayConnection, failure: GridLedgerError) -> _T:
        """The answer, after ``first`` failed."""
        self._tried.append(first)
        self._take(first, failure)
        try:
            while True:
                left_s = self._deadline - self._gateways.clock()
                if left_s <= 0:
                    raise TimeoutExceeded("no gateway answered in the time that the call may take")
                if self._under_way.keys() <= self._quiet and not self._ask_next(left_s) and not self._under_way:
                    raise self._verdict()
                await first_done(self._under_way, left_s)
                for answer in [answer for answer in self._under_way if answer.done()]:
                    member = self._under_way.pop(answer)
                    try:
                        found: _T = answer.result()
                    except GridLedgerError as error:
                        if not (is_the_gateways(error) or isinstance(error, BusyError)):
                            raise
                        self._take(member, error)
                    else:
                        return found
        finally:
            for answer in self._under_way:
                if not answer.cancel() and not answer.cancelled():
                    answer.exception()  # it came too late: nobody asks for it any more

    def _ask_next(self, left_s: float) -> bool:
        member = self._gateways.best(self._channel, self._tried)
        if member is None:
            return False
        self._tried.append(member)
        self._under_way[asyncio.get_running_loop().create_task(self._ask(member, left_s))] = member
        return True

    def _take(self, member: GatewayConnection, error: GridLedgerError) -> None:
        if isinstance(error, NodeQuiet) and hasattr(error, "answer"):
            self._under_way[error.answer] = member
            self._quiet.add(error.answer)
        if self._attempts is not None and error.code not in _REFUSED_BEFORE and not isinstance(error, BusyError):
            self._attempts.uncertain = True
        self._failures.append(error)
        self._gateways.note(member, self._channel, error)

    def _verdict(self) -> GridLedgerError:
        """Why no gateway has answered: what may pass comes before what will not."""
        busy = [error for error in self._failures if isinstance(error, BusyError)]
        if busy:
            return min(busy, key=lambda error: error.retry_after_s)
        lost = [error for error in self._failures if isinstance(error, ConnectionFailed)]
        if len(lost) == len(self._failures):
            reasons = "; ".join(error.message for error in lost)
            return ConnectionFailed(f"no gateway can be reached: {reasons}. See which nodes run: gridledger status")
        # That a gateway is not on the channel says least, and that the caller is no member there says more.
        return max(self._failures, key=lambda error: (error.code not in _ABSENT, error.code != "CHANNEL_UNKNOWN"))
