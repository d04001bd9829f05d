"""Peer health: which peers answered lately, which failed and which lied, and the probes of those that failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gridledger.errors import GridLedgerError, TimeoutExceeded
from gridledger.protocol.config import Node

MAX_BEHIND = 20
"""A peer that lags further than this many blocks behind the best one is asked only when no other can be."""

HEALTHY, BEHIND, DIFFERING, FAILED, LYING = 0, 1, 2, 3, 4
"""Ranks of a peer: to ask, lagging far behind, at odds with the others, failed, caught lying."""

FIRST_DISTRUST_S = 10.0
LONGEST_DISTRUST_S = 600.0
"""How long a peer that lied, or differed ``MAX_DIFFERENCES`` times, is asked only where nobody can stand in: at first,
and at most. Each time doubles it, and ``LONGEST_DISTRUST_S`` without another one end it."""
MAX_DIFFERENCES = 3

SILENT_S = 0.5
"""How long a probe may take before the peer counts as gone; its answer, when it comes, is heard all the same."""
PROBE_GONE_S = 0.2
"""How long after its end a probe of a peer that is gone is followed by the next one, at most."""

_CHAINCODE_CODES = frozenset(("CHAINCODE_NOT_INSTALLED", "CHAINCODE_UNAVAILABLE", "CHAINCODE_UNKNOWN"))
_BROKEN_STATUSES = frozenset((500, 502, 503, 504))
_log = logging.getLogger(__name__)

Probe = Callable[[Node], Awaitable[None]]


@dataclass(slots=True)
class _Mark:
    failed: str = ""
    gone: GridLedgerError | None = None
    answers: int = 0
    doubt_again_at: float = 0.0
    behind: int = 0
    differences: int = 0
    distrust: int = HEALTHY
    distrusted_for: str = ""
    until: float = 0.0
    strikes: int = 0


class PeerHealth:
    """Marks by peer name. A peer that failed is left out while others can stand in, and probed until it answers.

    ``probe`` raises while the peer cannot be reached; the first one runs at once, to tell whether the peer is gone or
    merely slow, then they run every ``probe_after_s``, sooner if it is gone: one task for each peer that failed, none
    otherwise. A peer that cannot run one chaincode is left out for that chaincode alone, for
    ``probe_after_s`` at a time. One that lied is left out for a time that grows: that it answers probes is no excuse.
    """

    def __init__(self, probe: Probe, probe_after_s: float, *, clock: Callable[[], float]) -> None:
        self.version = 0
        self._probe = probe
        self._probe_after_s = probe_after_s
        self._clock = clock
        self._marks: dict[str, _Mark] = {}
        self._distrusted: set[str] = set()
        self._without: dict[tuple[str, str], float] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._next_gone: asyncio.Future[None] | None = None

    def rank(self, peer: str, chaincode: str) -> int:
        """HEALTHY, BEHIND, DIFFERING, FAILED or LYING."""
        mark = self._marks.get(peer) or _Mark()
        failed = mark.failed or (peer, chaincode) in self._without
        behind = BEHIND if mark.behind > MAX_BEHIND else HEALTHY
        return max(mark.distrust, FAILED if failed else behind)

    def gone(self, peer: str) -> GridLedgerError | None:
        """The error of a peer that, when it was last asked or probed, gave no answer at all; being slow is not enough.

        It need not be asked meanwhile: the probes find out when it is back.
        """
        mark = self._marks.get(peer)
        return mark.gone if mark is not None else None

    def next_gone(self) -> asyncio.Future[None]:
        """Done when the next peer is found to be gone: one future for all who wait, which nobody may cancel."""
        if self._next_gone is None:
            self._next_gone = asyncio.get_running_loop().create_future()
        return self._next_gone

    def expire(self) -> None:
        """Forget marks for single chaincodes, and distrust, whose time is over."""
        if self._distrusted:
            self._trust_again()
        if self._without:
            now = self._clock()
            over = [key for key, until in self._without.items() if until <= now]
            for key in over:
                del self._without[key]
            self.version += len(over)

    def answered(self, peer: str, behind: int) -> None:
        """The peer did what it was asked; it was ``behind`` blocks behind this one."""
        mark = self._marks.get(peer)
        if mark is None:
            mark = self._marks[peer] = _Mark()
        if mark.failed or (mark.behind > MAX_BEHIND) != (behind > MAX_BEHIND):
            self.version += 1
        mark.failed, mark.gone, mark.behind = "", None, behind
        mark.answers += 1

    def failed(self, peer: Node, chaincode: str, error: GridLedgerError) -> None:
        """The peer did not do what it was asked. What a client did wrong, and a full queue, are no marks."""
        if error.code in _CHAINCODE_CODES:
            self._without[peer.name, chaincode] = self._clock() + self._probe_after_s
            self.version += 1
        elif error.status in _BROKEN_STATUSES and not error.code.startswith("CHAINCODE_"):
            self._suspect(peer, f"{error.code}: {error.message}")
            self._marks[peer.name].gone = error
            self._tell_gone()

    def lied(self, peer: str, reason: str) -> None:
        """The peer sent what it must know to be wrong."""
        self._distrust(peer, LYING, reason)

    def differed(self, peer: str, reason: str) -> None:
        """The peer alone differed from peers that agreed. It may have a defect, or lie; both once in a while happen."""
        mark = self._marks.setdefault(peer, _Mark())
        mark.differences += 1
        if mark.differences >= MAX_DIFFERENCES:
            mark.differences = 0
            self._distrust(peer, DIFFERING, reason)

    def slow(self, peer: Node) -> None:
        """The peer has not answered in time, others are asked in its place."""
        self._suspect(peer, "it did not answer in time")

    def doubt(self, peer: Node) -> None:
        """The peer has not answered in time, but nobody is asked in its place: see whether it is gone. Every
        ``probe_after_s`` at most: on a busy network all are slow, and probes would make them slower."""
        mark, now = self._marks.setdefault(peer.name, _Mark()), self._clock()
        if now >= mark.doubt_again_at:
            mark.doubt_again_at = now + self._probe_after_s
            self._start_probes(peer)

    def status(self) -> dict[str, str]:
        """The peers that are left out now, and why."""
        return {
            name: mark.failed or mark.distrusted_for
            for name, mark in sorted(self._marks.items())
            if mark.failed or mark.distrust
        }

    async def close(self) -> None:
        """End the probes."""
        probes = list(self._probes.values())
        for task in probes:
            task.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    def _distrust(self, peer: str, rank: int, reason: str) -> None:
        mark, now = self._marks.setdefault(peer, _Mark()), self._clock()
        if now >= mark.until + LONGEST_DISTRUST_S:
            mark.strikes = 0
        if rank > mark.distrust:  # what was asked for before the last time counts with it
            time_s = min(LONGEST_DISTRUST_S, FIRST_DISTRUST_S * 2**mark.strikes)
            mark.strikes += 1
            mark.until = now + time_s
            _log.warning("peer %s is left out of endorsements for %.0f s: %s", peer, time_s, reason)
            mark.distrust, mark.distrusted_for = rank, reason
            self._distrusted.add(peer)
            self.version += 1

    def _trust_again(self) -> None:
        now = self._clock()
        for peer in [peer for peer in self._distrusted if self._marks[peer].until <= now]:
            self._marks[peer].distrust, self._marks[peer].distrusted_for = HEALTHY, ""
            self._distrusted.discard(peer)
            self.version += 1

    def _suspect(self, peer: Node, reason: str) -> None:
        mark = self._marks.setdefault(peer.name, _Mark())
        if not mark.failed:
            self.version += 1
            _log.warning("peer %s is left out of endorsements: %s", peer.name, reason)
        mark.failed = reason
        self._start_probes(peer)

    def _start_probes(self, peer: Node) -> None:
        if peer.name not in self._probes:
            task = asyncio.get_running_loop().create_task(
                self._probe_until_it_answers(peer, self._marks[peer.name].answers), name=f"probe {peer.name}"
            )
            self._probes[peer.name] = task
            task.add_done_callback(lambda _: self._probes.pop(peer.name, None))

    async def _probe_until_it_answers(self, peer: Node, answers: int) -> None:
        mark = self._marks[peer.name]
        if mark.answers != answers:
            return  # it has done what it was asked since
        answered, was_gone = await self._answers(peer, mark), mark.gone is not None
        # One that answers at once is merely slow: it is left out for its time.
        while mark.failed and not (answered and was_gone):
            await asyncio.sleep(min(PROBE_GONE_S, self._probe_after_s) if mark.gone else self._probe_after_s)
            answered = was_gone = await self._answers(peer, mark)
        if mark.failed:
            mark.failed = ""
            self.version += 1
            _log.info("peer %s answers again", peer.name)
        mark.gone = None

    async def _answers(self, peer: Node, mark: _Mark) -> bool:
        """Probe a peer; whether it answers in the end. One that takes long counts as gone until then; not if it did
        what it was asked meanwhile."""
        answers, probing = mark.answers, asyncio.ensure_future(self._probe(peer))
        try:
            done, _ = await asyncio.wait((probing,), timeout=SILENT_S)
            if not done and mark.answers == answers:
                self._is_gone(peer, mark, TimeoutExceeded(f"it has not answered a probe within {SILENT_S} s"))
            await probing
        except GridLedgerError as error:
            if mark.answers == answers:
                self._is_gone(peer, mark, error)
            return False
        finally:
            probing.cancel()
        return True

    def _is_gone(self, peer: Node, mark: _Mark, error: GridLedgerError) -> None:
        if not mark.failed:
            self.version += 1
            _log.warning("peer %s is left out of endorsements: %s", peer.name, error.message)
        mark.failed = f"{error.code}: {error.message}"
        mark.gone = error
        self._tell_gone()

    def _tell_gone(self) -> None:
        waited_for, self._next_gone = self._next_gone, None
        if waited_for is not None:
            waited_for.set_result(None)
