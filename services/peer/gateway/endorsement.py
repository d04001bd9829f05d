"""Collecting endorsements: ask a set of peers side by side, help out where some fail, settle where they differ.

Peers commit the same blocks at slightly different times, so under load one may have run the chaincode on a world state
one block older than another's. That shows as different versions read. Such answers are dropped and those peers asked
again with the height that the furthest has seen, for which they wait; the answers of the furthest stay. Where all have
read the same and still differ, the chaincode is to blame, and asking again would not help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gridledger.errors import BusyError, GridLedgerError, TimeoutExceeded, from_wire
from gridledger.identity.policy import Policy
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.result import Endorsement
from services.peer.endorser.endorser import Admitted, Answer
from services.peer.errors import (
    ChaincodeRefused,
    DuplicateTransaction,
    EndorsementMismatch,
    EndorsersBusy,
    EndorsersUnavailable,
)
from services.peer.gateway import comparison
from services.peer.gateway.peer_health import PeerHealth
from services.peer.gateway.selection import Selection
from services.peer.settings import EndorsementLimits

HEDGE_SHARE = 0.1
"""Hedges per collection that are allowed in the long run: help past a slow peer, no more load on a busy network."""

MAX_SAVED_HEDGES = 20.0


class Ask(Protocol):
    """Asks one peer (perhaps this one) for an endorsement; raises its error."""

    async def __call__(self, peer: Node, admitted: Admitted, min_height: int, timeout_s: float) -> Answer: ...


class Collected(NamedTuple):
    """A result and enough endorsements of it; ``peers`` are the endorsers' names, in the same order."""

    result_text: str
    endorsements: tuple[Endorsement, ...]
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """How far a collection has got: whom others asked, who answered what, whose answers are still to come (``slow``:
    and should be here by now). ``deadline`` is the collector's clock's."""

    asked: dict[str, Node]
    answers: dict[str, Answer | GridLedgerError]
    pending: dict[str, asyncio.Future[Answer]]
    deadline: float
    slow: bool


class Collector:
    """Collects endorsements for one gateway. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        ask: Ask,
        selection: Selection,
        health: PeerHealth,
        limits: EndorsementLimits,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.ask = ask
        self.selection = selection
        self.health = health
        self.limits = limits
        self.clock = clock
        self.active = 0
        self.mismatches = 0
        self.hedges = 0
        self._hedges_allowed = MAX_SAVED_HEDGES

    async def collect(self, admitted: Admitted, begun: Begun | None = None) -> Collected:
        """Endorsements that satisfy the chaincode's policy; where others have ``begun``, from there on.

        Raises :class:`ChaincodeRefused` with every endorser's message, :class:`EndorsementMismatch`,
        :class:`EndorsersUnavailable`, :class:`EndorsersBusy`, or the error that all endorsers gave alike.
        """
        if begun is None:
            if self.active >= self.limits.max_concurrent:
                raise self.busy()
            self.saw(1)
        collection = _Collection(self, admitted, begun)
        self.active += 1
        try:
            return await collection.run()
        finally:
            self.active -= 1
            await collection.close()

    def busy(self) -> EndorsersBusy:
        """Why there is no place for one more."""
        return EndorsersBusy(
            f"{self.active} proposals are being endorsed through this gateway already; try again later",
            retry_after_s=0.2,
        )

    def saw(self, proposals: int) -> None:
        """So many proposals came, which allow a share of them to be hedged."""
        self._hedges_allowed = min(MAX_SAVED_HEDGES, self._hedges_allowed + proposals * HEDGE_SHARE)

    def may_hedge(self) -> bool:
        """Spend one hedge, if any is left."""
        if self._hedges_allowed < 1:
            return False
        self._hedges_allowed -= 1
        self.hedges += 1
        return True


class _Collection:
    """One proposal's collection."""

    def __init__(self, collector: Collector, admitted: Admitted, begun: Begun | None = None) -> None:
        self._collector = collector
        self._admitted = admitted
        self._config: ChannelConfig = admitted.channel.config
        self._chaincode = admitted.definition.name
        self._policy: Policy = self._config.endorsement_policy(self._chaincode)
        self._deadline = collector.clock() + collector.limits.timeout_s
        self._begun = begun
        self._asked: dict[str, Node] = {}
        self._tasks: dict[asyncio.Future[Answer], Node] = {}
        self._answers: dict[str, Answer] = {}
        self._refusals: dict[str, ChaincodeRefused] = {}
        self._failures: dict[str, GridLedgerError] = {}
        self._slow: set[str] = set()
        self._rounds = 0

    async def run(self) -> Collected:
        """Ask, and ask on, until the policy is met or cannot be."""
        collector = self._collector
        agreed = self._begin()
        if agreed is not None:
            return agreed
        hedge_at = collector.clock() + collector.limits.hedge_after_s
        while True:
            if not self._tasks and not self._go_on():
                raise self._verdict()
            now = collector.clock()
            if now >= self._deadline:
                self._too_late()
                raise self._verdict()
            wait_s = min(self._deadline, hedge_at) - now if hedge_at > now else self._deadline - now
            done, _ = await asyncio.wait(self._tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            failed = False
            for task in done:
                failed = not self._take(task) or failed
            agreed = self._agreed() if done else None
            if agreed is not None:
                return agreed
            if failed:
                self._reinforce()
            if not done and collector.clock() >= hedge_at:
                self._hedge()
                hedge_at = collector.clock() + collector.limits.hedge_after_s

    def _begin(self) -> Collected | None:
        begun = self._begun
        if begun is None:
            for peer in self._collector.selection.first(self._config, self._chaincode):
                self._start(peer, 0)
            return None
        self._deadline = begun.deadline
        self._asked.update(begun.asked)
        self._tasks.update({pending: begun.asked[name] for name, pending in begun.pending.items()})
        failed = [name for name, answer in begun.answers.items() if not self._note(begun.asked[name], answer)]
        agreed = self._agreed()
        if agreed is None and failed:
            self._reinforce()
        elif agreed is None and begun.slow:
            self._hedge()
        return agreed

    async def close(self) -> None:
        """Let go of those who need not answer any more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, peer: Node, min_height: int) -> None:
        collector = self._collector
        timeout_s = max(0.001, self._deadline - collector.clock())
        if collector.health.gone(peer.name):
            # Asked because the policy leaves no choice; most likely it is still gone, and the client should know soon.
            # One that was merely slow keeps its time: on a busy machine, cutting it would turn late into never.
            timeout_s = min(timeout_s, collector.limits.probe_after_s)
        work = collector.ask(peer, self._admitted, min_height, timeout_s)
        self._asked[peer.name] = peer
        self._tasks[asyncio.ensure_future(work)] = peer

    def _take(self, task: asyncio.Future[Answer]) -> bool:
        """Note what a peer answered; False if it failed, so that another one is needed."""
        peer = self._tasks.pop(task)
        self._slow.discard(peer.name)
        try:
            return self._note(peer, task.result())
        except GridLedgerError as error:
            return self._note(peer, error)

    def _note(self, peer: Node, answer: Answer | GridLedgerError) -> bool:
        health = self._collector.health
        if isinstance(answer, Answer):
            self._answers[peer.name] = answer
            health.answered(peer.name, self._behind(answer.height))
        elif isinstance(answer, ChaincodeRefused):
            self._refusals[peer.name] = answer
            health.answered(peer.name, self._behind(_height_of(answer)))
        elif answer.code == DuplicateTransaction.code:
            # It is on the ledger, whether or not every peer knows it yet: no further endorsement is of use.
            raise answer
        else:
            self._failures[peer.name] = answer
            health.failed(peer, self._chaincode, answer)
            return False
        return True

    def _behind(self, height: int) -> int:
        return max(0, self._admitted.channel.height - height)

    def _agreed(self) -> Collected | None:
        for text, peers in self._groups().items():
            if self._policy.satisfied_by([(self._asked[peer].mspid, "peer") for peer in peers]):
                needed = self._needed(peers)
                endorsements = tuple(self._answers[peer].endorsement for peer in needed)
                return Collected(text, endorsements, tuple(needed))
        return None

    def _needed(self, peers: list[str]) -> list[str]:
        """Drop those that are not needed: every peer of the channel will verify each endorsement."""
        needed = list(peers)
        for peer in peers[::-1]:
            rest = [name for name in needed if name != peer]
            if rest and self._policy.satisfied_by([(self._asked[name].mspid, "peer") for name in rest]):
                needed = rest
        return [name for name in self._asked if name in needed]

    def _groups(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for peer, answer in self._answers.items():
            groups.setdefault(answer.result_text, []).append(peer)
        return groups

    def _hedge(self) -> None:
        """Those who have not answered are slow: ask others too. Whoever completes a set first wins.

        Only help past a slow peer is rationed. One that turned out to be gone is replaced in every collection.
        """
        health, waiting = self._collector.health, [peer for peer in self._tasks.values() if peer.name not in self._slow]
        late = [peer for peer in waiting if health.gone(peer.name)]
        if not late:
            if not self._collector.may_hedge():
                return
            late = waiting
        for peer in late:
            self._slow.add(peer.name)
            health.slow(peer)
        self._reinforce()

    def _reinforce(self) -> bool:
        """Ask the fewest further peers that, with those who agree or may yet answer, make a set."""
        groups = self._groups()
        agreeing = max(groups.values(), key=len) if groups else []
        expected = [peer.name for peer in self._tasks.values() if peer.name not in self._slow]
        if self._refusals and not agreeing and not expected:
            return False
        have = [self._asked[name].mspid for name in (*agreeing, *expected)]
        if self._policy.satisfied_by([(mspid, "peer") for mspid in have]):
            return True
        further = self._collector.selection.further(self._config, self._chaincode, have=have, asked=self._asked)
        for peer in further:
            self._start(peer, 0)
        return bool(further)

    def _go_on(self) -> bool:
        """Everyone asked has answered, and the policy is not met. Whether there is anyone left to ask."""
        if len(self._groups()) + bool(self._refusals) > 1 and self._settle():
            return True
        if not self._answers and self._refusals:
            return False
        return self._reinforce() and bool(self._tasks)

    def _settle(self) -> bool:
        """Ask those again who lag behind the furthest; whether there are any and rounds are left."""
        self._collector.mismatches += 1
        if self._rounds >= self._collector.limits.max_rounds:
            return False
        if not self._refusals and comparison.saw_the_same(self._answers):
            return False
        self._rounds += 1
        heights = {peer: comparison.height_seen(answer) for peer, answer in self._answers.items()}
        heights |= {peer: _height_of(refusal) for peer, refusal in self._refusals.items()}
        furthest = max(heights, key=lambda peer: (heights[peer], peer in self._answers, peer))
        keep = set(self._refusals)
        if furthest in self._answers:
            keep = set(self._groups()[self._answers[furthest].result_text])
        for peer in heights.keys() - keep:
            self._answers.pop(peer, None)
            self._refusals.pop(peer, None)
            self._start(self._asked[peer], heights[furthest])
        return True

    def _too_late(self) -> None:
        for peer in self._tasks.values():
            late = TimeoutExceeded(f"no answer within {self._collector.limits.timeout_s} s")
            self._failures[peer.name] = late
            self._collector.health.failed(peer, self._chaincode, late)

    def _verdict(self) -> GridLedgerError:
        """Why there is no set. Every peer's own reason is in the details."""
        tx_id = self._admitted.signed.proposal.tx_id
        reasons = {name: f"{error.code}: {error.message}" for name, error in self._failures.items()}
        if self._refusals and not self._answers:
            return self._refused(tx_id, reasons)
        if len(self._groups()) + bool(self._refusals) > 1:
            shown = comparison.differences(self._answers) if len(self._groups()) > 1 else _responses(self._answers)
            shown |= {name: dict(refusal.details) for name, refusal in self._refusals.items()}
            return EndorsementMismatch(
                f"the endorsers' results differ: {', '.join(sorted(shown))}", tx_id=tx_id, peers=shown, failed=reasons
            )
        errors = list(self._failures.values())
        if errors and all(isinstance(error, BusyError) for error in errors):
            # Also where others have answered: nothing is broken, and the client's next attempt may well succeed.
            wait_s = min(error.retry_after_s for error in errors if isinstance(error, BusyError))
            return EndorsersBusy("too many endorsers are busy; try again later", retry_after_s=wait_s, peers=reasons)
        if errors and not self._answers and len({error.code for error in errors}) == 1 and errors[0].status < 500:  # noqa: PLR2004
            return from_wire(
                errors[0].status, {**errors[0].to_dict(), "details": {**errors[0].details, "peers": reasons}}
            )
        for node in self._config.peers.values():
            reasons.setdefault(node.name, self._unasked(node))
        for name in self._answers:
            reasons[name] = "endorsed"
        return EndorsersUnavailable(
            f"the endorsement policy {self._policy.text} of {self._chaincode} cannot be met now: "
            + "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())),
            tx_id=tx_id,
            peers=reasons,
        )

    def _unasked(self, node: Node) -> str:
        return f"not asked: {self._collector.health.status().get(node.name, 'it would not complete a set')}"

    def _refused(self, tx_id: str, reasons: Mapping[str, str]) -> ChaincodeRefused:
        details: dict[str, Any] = {name: refusal.message for name, refusal in self._refusals.items()}
        first = next(iter(self._refusals.values()))
        return ChaincodeRefused(
            first.message,
            tx_id=tx_id,
            response=first.details.get("response"),
            endorsers=details,
            failed=dict(reasons),
        )


def _height_of(refusal: ChaincodeRefused) -> int:
    height = refusal.details.get("height")
    return height if isinstance(height, int) else 0


def _responses(answers: Mapping[str, Answer]) -> dict[str, dict[str, Any]]:
    return {name: {"height": answer.height, "response": "endorsed"} for name, answer in answers.items()}
