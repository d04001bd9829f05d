"""Collection of endorsements: asks a set of peers side by side, and others where some fail or are slow.

Peers commit the same blocks at slightly different times, so under load one may have run the chaincode on a world state
one block older than another's; the versions read then differ. The responses of the peers furthest ahead stay. The
others are dropped, and their peers asked again with the height of the furthest, for which they wait. Where all have
read the same and still differ, the chaincode is to blame, and asking again would not help.

A peer may lie. Its endorsements are verified as they come, it is asked again no more, and others stand in for it. A
height that it claims counts no further than this peer's own and ``MAX_AHEAD``, and where nobody reaches it, the answers
of those who were asked again for it stand. Whoever answered otherwise than those who agree is told to PeerHealth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from gridledger.errors import BusyError, GridLedgerError, TimeoutExceeded, from_wire
from gridledger.identity.policy import Policy
from gridledger.protocol.config import ChannelConfig, Node
from gridledger.protocol.result import EndorsedResult
from gridledger.shares import Pool
from gridledger.waiting import first_done
from services.peer.endorser.endorser import AdmittedProposal, Note, ProposalResponse
from services.peer.errors import (
    BadEndorsement,
    ChaincodeRefused,
    DuplicateTransaction,
    EndorsementMismatch,
    EndorsersBusy,
    EndorsersUnavailable,
    EndorsingOrganisationsRefused,
    PeerBehind,
)
from services.peer.gateway import comparison
from services.peer.gateway.peer_health import PeerHealth
from services.peer.gateway.selection import Selection
from services.peer.gateway.verification import verify_endorsement
from services.peer.settings import EndorsementLimits

HEDGE_SHARE = 0.1
"""Hedges per proposal that are allowed in the long run: help past a slow peer, no more load on a busy network."""

MAX_SAVED_HEDGES = 20.0

MAX_AHEAD = 1000
"""By how many blocks another peer may be ahead of this one for the height that it claims to be believed."""


class Ask(Protocol):
    """Asks one peer (perhaps this one) for an endorsement; raises its error."""

    async def __call__(
        self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float
    ) -> ProposalResponse: ...


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
        note: Note | None = None,
    ) -> None:
        """``note`` is told of each signature that was verified."""
        self.ask = ask
        self.note = note
        self.selection = selection
        self.health = health
        self.limits = limits
        self.clock = clock
        self._places = Pool("proposals", limits.max_concurrent, retry_after_s=0.2)
        self.mismatches = 0
        self.bad_endorsements = 0
        self.hedges = 0
        self._hedges_allowed = MAX_SAVED_HEDGES

    async def collect(self, proposal: AdmittedProposal, organisations: tuple[str, ...] | None = None) -> EndorsedResult:
        """Endorsements that satisfy the chaincode's policy, by peers of ``organisations`` alone where they are named.

        Raises :class:`EndorsingOrganisationsRefused`, :class:`ChaincodeRefused` with every endorser's message,
        :class:`EndorsementMismatch`, :class:`EndorsersUnavailable`, :class:`EndorsersBusy`, or the error that all
        endorsers gave alike.
        """
        try:
            place = self._places.take(proposal.creator.signer)
        except BusyError as error:
            raise EndorsersBusy(error.message, retry_after_s=error.retry_after_s) from None
        self._hedges_allowed = min(MAX_SAVED_HEDGES, self._hedges_allowed + HEDGE_SHARE)
        collection = _Collection(self, proposal, organisations)
        try:
            return await collection.run()
        finally:
            place.give()
            await collection.close()

    @property
    def active(self) -> int:
        """How many proposals are being endorsed."""
        return self._places.used

    def may_hedge(self) -> bool:
        """Spend one hedge, if any is left."""
        if self._hedges_allowed < 1:
            return False
        self._hedges_allowed -= 1
        self.hedges += 1
        return True


class _Collection:
    """One proposal's collection."""

    def __init__(self, collector: Collector, proposal: AdmittedProposal, organisations: tuple[str, ...] | None) -> None:
        self._collector = collector
        self._proposal = proposal
        self._config: ChannelConfig = proposal.channel.config
        self._chaincode = proposal.definition.name
        self._policy: Policy = self._config.endorsement_policy(self._chaincode)
        self._among = organisations
        if organisations is not None:
            _check(organisations, self._config, self._chaincode)
        self._deadline = collector.clock() + collector.limits.timeout_s
        self._first: list[Node] = []
        self._asked: dict[str, Node] = {}
        self._asking: dict[asyncio.Task[ProposalResponse], Node] = {}
        self._responses: dict[str, ProposalResponse] = {}
        self._results: set[str] = set()
        self._set_aside: dict[str, ProposalResponse] = {}
        self._claim: tuple[str, int] = ("", 0)
        self._refusals: dict[str, ChaincodeRefused] = {}
        self._failures: dict[str, GridLedgerError] = {}
        self._slow: set[str] = set()
        self._catching_up: set[str] = set()
        """Who waits for a height that another peer claims to have, perhaps falsely."""
        self._doubted = False
        self._rounds = 0

    async def run(self) -> EndorsedResult:
        """Ask, and ask on, until the policy is met or cannot be."""
        collector = self._collector
        now = collector.clock()
        selection = collector.selection
        if self._among is None:
            self._first = selection.shared(self._config, self._chaincode, now)
        else:
            self._first = selection.among(self._config, self._chaincode, self._among)
        for peer in self._first:
            self._ask(peer, 0)
        hedge_at = now + collector.limits.hedge_after_s
        while True:
            if not self._asking and not self._go_on():
                raise self._verdict()
            now = collector.clock()
            if now >= self._deadline:
                self._too_late()
                raise self._verdict()
            waited_for: Collection[asyncio.Future[Any]] = self._asking
            if self._doubted:
                waited_for = [*self._asking, collector.health.next_gone()]
            await first_done(waited_for, min(hedge_at, self._deadline) - now)
            done = [task for task in self._asking if task.done()]
            failed = [task for task in done if not self._take(task)] + self._leave_those_gone()
            if done and (endorsed := self._agreed()) is not None:
                return endorsed
            if failed:
                self._reinforce()
            if not done and collector.clock() >= hedge_at:
                self._hedge()
                hedge_at = collector.clock() + collector.limits.hedge_after_s

    async def close(self) -> None:
        """Let go of those who need not answer any more."""
        for task in self._asking:
            task.cancel()
        if self._asking:
            await asyncio.gather(*self._asking, return_exceptions=True)

    def _ask(self, peer: Node, min_height: int) -> None:
        collector = self._collector
        timeout_s = max(0.001, self._deadline - collector.clock())
        if (gone := collector.health.gone(peer.name)) is not None:
            # Chosen because the policy leaves no choice. The client should know at once, and the peer, once it is back,
            # has better to do than what nobody waits for any more. One that is merely slow keeps its time: on a busy
            # machine, cutting it would turn late into never.
            self._asked[peer.name] = peer
            self._failures[peer.name] = gone
            return
        work = collector.ask(peer, self._proposal, min_height, timeout_s)
        self._asked[peer.name] = peer
        self._asking[asyncio.get_running_loop().create_task(work)] = peer

    def _take(self, task: asyncio.Task[ProposalResponse]) -> bool:
        """Note what a peer answered; False if it failed, so that another one is needed."""
        peer = self._asking.pop(task)
        health = self._collector.health
        self._slow.discard(peer.name)
        self._catching_up.discard(peer.name)
        try:
            response = task.result()
            self._verify(peer, response)
        except ChaincodeRefused as refusal:
            self._refusals[peer.name] = refusal
            health.answered(peer.name, self._behind(self._height_of(refusal)))
        except BadEndorsement as lie:
            self._failures[peer.name] = lie
            self._collector.bad_endorsements += 1
            health.lied(peer.name, f"{lie.code}: {lie.message}")
            return False
        except PeerBehind as behind:
            return self._take_behind(peer, behind)
        except DuplicateTransaction as duplicate:
            if peer.name == self._collector.selection.own:
                raise
            # Another peer may know of it first, and may lie. The policy decides, and if it cannot, this is told.
            self._failures[peer.name] = duplicate
            return False
        except GridLedgerError as error:
            self._failures[peer.name] = error
            health.failed(peer, self._chaincode, error)
            return False
        else:
            self._responses[peer.name] = response
            health.answered(peer.name, self._behind(response.height))
        return True

    def _verify(self, peer: Node, response: ProposalResponse) -> None:
        """Raise :class:`BadEndorsement` for what no peer would take. What this peer has signed needs no look."""
        text = response.result_text
        if peer.name != self._collector.selection.own:
            known = text in self._results
            check = verify_endorsement(response, peer, self._proposal.signed.proposal, result_known=known)
            if self._collector.note is not None:
                self._collector.note(self._config.channel, check)
        self._results.add(text)

    def _take_behind(self, peer: Node, error: PeerBehind) -> bool:
        """A peer did not reach the height that it was asked again for; True if its first answer stands."""
        self._collector.health.answered(peer.name, self._behind(self._height_of(error)))
        first = self._set_aside.pop(peer.name, None)
        claimant, height = self._claim
        if first is None or height <= self._proposal.channel.height:
            self._failures[peer.name] = error
            return False
        reason = f"{claimant} claims {height} blocks, which neither {peer.name} nor this peer has"
        if self._responses.pop(claimant, None) or self._refusals.pop(claimant, None):
            self._failures[claimant] = BadEndorsement(reason)
            self._collector.health.differed(claimant, reason)
        self._responses[peer.name] = first
        return True

    def _height_of(self, error: GridLedgerError) -> int:
        """The height in a peer's error, as far as it can be believed."""
        height = error.details.get("height")
        return max(0, min(height, self._proposal.channel.height + MAX_AHEAD)) if type(height) is int else 0

    def _behind(self, height: int) -> int:
        return max(0, self._proposal.channel.height - height)

    def _agreed(self) -> EndorsedResult | None:
        for text, peers in self._groups().items():
            if self._policy.satisfied_by([(self._asked[peer].mspid, "peer") for peer in peers]):
                self._tell_who_differed(peers)
                needed = self._needed(peers)
                return EndorsedResult(
                    text, tuple([self._responses[peer].endorsement for peer in needed]), tuple(needed)
                )
        return None

    def _tell_who_differed(self, agreed: list[str]) -> None:
        if len(self._responses) + len(self._refusals) + len(self._failures) > len(agreed) > 1:
            others = {**self._refusals, **self._failures}
            for name, reason in comparison.who_differed(agreed, self._responses, others).items():
                self._collector.health.differed(name, reason)

    def _needed(self, peers: list[str]) -> list[str]:
        """Drop those that are not needed: every peer of the channel will verify each endorsement."""
        if len(self._asked) == len(self._first):
            return [name for name in self._asked if name in peers]  # the first set has nobody too many
        needed = list(peers)
        for peer in peers[::-1]:
            rest = [name for name in needed if name != peer]
            if rest and self._policy.satisfied_by([(self._asked[name].mspid, "peer") for name in rest]):
                needed = rest
        return [name for name in self._asked if name in needed]

    def _groups(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for peer, response in self._responses.items():
            groups.setdefault(response.result_text, []).append(peer)
        return groups

    def _hedge(self) -> None:
        """Those who have not answered are slow: ask others too. Whoever completes a set first wins.

        Only help past a slow peer is rationed. One that turned out to be gone is replaced in every collection.
        """
        health, waiting = (
            self._collector.health,
            [peer for peer in self._asking.values() if peer.name not in self._slow],
        )
        self._doubted = True
        late = [peer for peer in waiting if health.gone(peer.name)]
        if not late:
            if not self._collector.may_hedge():
                for peer in waiting:
                    health.doubt(peer)
                return
            late = waiting
        for peer in late:
            self._slow.add(peer.name)
            if peer.name not in self._catching_up:
                health.slow(peer)
        self._reinforce()

    def _leave_those_gone(self) -> list[asyncio.Task[ProposalResponse]]:
        """Stop waiting for peers that a probe has found to be gone since they were asked."""
        left = []
        for task, peer in list(self._asking.items()) if self._doubted else ():
            if (gone := self._collector.health.gone(peer.name)) is not None and not task.done():
                self._failures[peer.name] = gone
                self._slow.discard(peer.name)
                del self._asking[task]
                task.cancel()
                left.append(task)
        return left

    def _reinforce(self) -> bool:
        """Ask the fewest further peers that, with those who agree or may yet answer, make a set."""
        groups = self._groups()
        agreeing = max(groups.values(), key=len) if groups else []
        expected = [peer.name for peer in self._asking.values() if peer.name not in self._slow]
        if self._refusals and not agreeing and not expected:
            return False
        have = [self._asked[name].mspid for name in (*agreeing, *expected)]
        if self._policy.satisfied_by([(mspid, "peer") for mspid in have]):
            return True
        further = self._collector.selection.further(
            self._config, self._chaincode, have=have, asked=self._asked, among=self._among
        )
        for peer in further:
            self._ask(peer, 0)
        return bool(further)

    def _go_on(self) -> bool:
        """Everyone asked has answered, and the policy is not met. Whether there is anyone left to ask."""
        if len(self._groups()) + bool(self._refusals) > 1 and self._ask_laggards_again():
            return True
        if not self._responses and self._refusals:
            return False
        return self._reinforce() and bool(self._asking)

    def _ask_laggards_again(self) -> bool:
        """Ask those again who lag behind the furthest; whether there are any and rounds are left."""
        self._collector.mismatches += 1
        if self._rounds >= self._collector.limits.max_rounds:
            return False
        if not self._refusals and comparison.saw_the_same(self._responses):
            return False
        self._rounds += 1
        most = self._proposal.channel.height + MAX_AHEAD
        heights = {peer: min(most, comparison.height_seen(response)) for peer, response in self._responses.items()}
        heights |= {peer: self._height_of(refusal) for peer, refusal in self._refusals.items()}
        furthest = max(heights, key=lambda peer: (heights[peer], peer in self._responses, peer))
        keep = set(self._refusals)
        if furthest in self._responses:
            keep = set(self._groups()[self._responses[furthest].result_text])
        self._claim, self._set_aside = (furthest, heights[furthest]), {}
        for peer in heights.keys() - keep:
            if peer in self._responses:
                self._set_aside[peer] = self._responses.pop(peer)
            self._refusals.pop(peer, None)
            self._catching_up.add(peer)
            self._ask(self._asked[peer], heights[furthest])
        return True

    def _too_late(self) -> None:
        for peer in self._asking.values():
            late = TimeoutExceeded(f"no answer within {self._collector.limits.timeout_s} s")
            self._failures[peer.name] = late
            self._collector.health.failed(peer, self._chaincode, late)

    def _verdict(self) -> GridLedgerError:
        """Why there is no set. Every peer's own reason is in the details."""
        tx_id = self._proposal.signed.proposal.tx_id
        reasons = {name: f"{error.code}: {error.message}" for name, error in self._failures.items()}
        if self._refusals and not self._responses:
            return self._refused(tx_id, reasons)
        if len(self._groups()) + bool(self._refusals) > 1:
            shown = (
                comparison.differences(self._responses) if len(self._groups()) > 1 else _endorsed_at(self._responses)
            )
            shown |= {name: dict(refusal.details) for name, refusal in self._refusals.items()}
            return EndorsementMismatch(
                f"the endorsers' results differ: {', '.join(sorted(shown))}", tx_id=tx_id, peers=shown, failed=reasons
            )
        errors = list(self._failures.values())
        for name, error in self._failures.items():
            if isinstance(error, DuplicateTransaction):
                # Its outcome is that peer's word alone: the client asks this peer for the status.
                return DuplicateTransaction(f"{name}: {error.message}", tx_id=tx_id, peers=reasons)
        if errors and all(isinstance(error, BusyError) for error in errors):
            # Also where others have answered: nothing is broken, and the client's next attempt may well succeed.
            wait_s = min(error.retry_after_s for error in errors if isinstance(error, BusyError))
            return EndorsersBusy("too many endorsers are busy; try again later", retry_after_s=wait_s, peers=reasons)
        if errors and not self._responses and len({error.code for error in errors}) == 1 and errors[0].status < 500:  # noqa: PLR2004
            return from_wire(
                errors[0].status, {**errors[0].to_dict(), "details": {**errors[0].details, "peers": reasons}}
            )
        for node in self._config.peers.values():
            reasons.setdefault(node.name, self._unasked(node))
        for name in self._responses:
            reasons[name] = "endorsed"
        return EndorsersUnavailable(
            f"the endorsement policy {self._policy.text} of {self._chaincode} cannot be met now: "
            + "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())),
            tx_id=tx_id,
            peers=reasons,
        )

    def _unasked(self, node: Node) -> str:
        if self._among is not None and node.mspid not in self._among:
            return "not asked: its organisation is not among those named"
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


def _check(organisations: tuple[str, ...], config: ChannelConfig, chaincode: str) -> None:
    """Refuse a choice of organisations that could never satisfy the policy."""
    if unknown := [mspid for mspid in organisations if mspid not in config.peer_organisations]:
        raise EndorsingOrganisationsRefused(
            f"{', '.join(unknown)}: no such organisation has a peer on {config.channel}; "
            f"these have: {', '.join(config.peer_organisations)}"
        )
    policy = config.endorsement_policy(chaincode)
    if not policy.satisfied_by([(node.mspid, "peer") for node in config.peers.values() if node.mspid in organisations]):
        raise EndorsingOrganisationsRefused(
            f"the endorsement policy {policy.text} of {chaincode} cannot be met by {', '.join(organisations)} alone"
        )


def _endorsed_at(responses: Mapping[str, ProposalResponse]) -> dict[str, dict[str, Any]]:
    return {name: {"height": response.height, "response": "endorsed"} for name, response in responses.items()}
