"""One channel: what was decided is said on the anchoring channel, and what is wrong is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from gridledger.client.anchors import AnchorStatus, ChannelMembers
from gridledger.errors import ConflictError, GridLedgerError, PermissionDeniedError
from gridledger.protocol.merkle import Tree
from gridledger.protocol.statements import Head, Statement
from services.anchor.alarms import Alarms
from services.anchor.cosigning import REFUSED, Cosigner
from services.anchor.deciding import Action, Attest, Conclude, Cosign, Decider, Pace, View, contradicts

DAY_US: Final = 86_400 * 1_000_000
"""So long a fork is an alarm, after which it stays on record."""

_log = logging.getLogger(__name__)


class Ledger(Protocol):
    """The contract ``anchors``, as :class:`~gridledger.client.anchors.AnchorsLedger` has it."""

    async def status(self, channel: str) -> AnchorStatus:
        """How far a channel is anchored."""

    async def set_members(self, channel: str, members: ChannelMembers) -> Any:
        """Say which organisations belong to a channel."""

    async def attest(
        self,
        channel: str,
        size: int,
        head: Head,
        *,
        height: int,
        consistency: Sequence[bytes],
        opens: bool = False,
        conclude: bool = False,
    ) -> Any:
        """Attest a head."""

    async def conclude(self, channel: str, size: int, *, consistency: Sequence[bytes]) -> Any:
        """Have recorded what was said of a size."""


class Chain(Protocol):
    """The own peer's chain of one channel."""

    channel: str
    rewritten: str | None
    """Why the peer's chain is not the one that was followed before; None while it is."""

    @property
    def tree(self) -> Tree:
        """The tree over its blocks."""

    async def head(self, size: int) -> Head:
        """What is said of a size that the tree has."""

    async def members(self) -> ChannelMembers:
        """The members of the channel's configuration."""


class Anchoring:
    """An agent's work for one channel. ``clock`` is monotonic, ``now_us`` the time since 1970.

    Without a ``cosigner`` it asks nobody for statements, and signs none.
    """

    def __init__(
        self,
        mspid: str,
        chain: Chain,
        ledger: Ledger,
        pace: Pace,
        *,
        cosigner: Cosigner | None = None,
        clock: Callable[[], float] = time.monotonic,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.channel = chain.channel
        self.alarms = Alarms(chain.channel)
        self.view: View | None = None
        self._mspid = mspid
        self._chain = chain
        self._ledger = ledger
        self._pace = pace
        self._cosigner = cosigner
        self._clock = clock
        self._now_us = now_us
        self.decider = Decider(mspid, pace, lambda: now_us() / 1_000_000)
        self._differ_since: float | None = None

    async def look(self) -> None:
        """Ask what the ledger has, and what the channel's configuration says."""
        members, status = await self._chain.members(), await self._ledger.status(self.channel)
        self.view = View(members, status, self._chain.tree)

    async def step(self) -> bool:
        """Do what is due, if anything; whether something was said. The caller looks again then.

        A refusal means that the ledger has moved on: it is looked at again, and nothing is wrong.
        """
        if self.view is None:
            return False
        view, now_s = self.view._replace(tree=self._chain.tree), self._clock()
        self._judge(view, now_s)
        can_cosign = self._cosigner is not None and self._cosigner.can_gather(view.members.organisations)
        action = None if self._chain.rewritten else self.decider.decide(view, now_s, can_cosign=can_cosign)
        if action is None:
            return False
        try:
            await self._do(action, view)
        except GridLedgerError as error:
            if error.code != REFUSED:
                raise
            _log.info("%s: %s was refused: %s", self.channel, type(action).__name__, error.message)
        return True

    async def sign(self, asker: str, size: int, base: int) -> Statement:
        """What the own organisation says of a size, for the agent of another one.

        Raises :class:`PermissionDeniedError` for an organisation that does not belong to the channel, and
        :class:`ConflictError` where nothing is said: it says why.
        """
        view, now_s = self.view, self._clock()
        if view is None or self._cosigner is None:
            raise ConflictError(f"this agent has not looked at {self.channel} yet")
        view = view._replace(tree=self._chain.tree)
        if asker not in view.members.organisations:
            raise PermissionDeniedError(f"{asker} is no organisation of {self.channel}")
        why = self._why_silent(view, size, base)
        if why is None and not self.decider.may_sign(asker, size, now_s):
            why = "it has asked not long ago"
        if why is not None:
            raise ConflictError(f"nothing is said of {self.channel} at {size} blocks: {why}")
        statement = self._cosigner.register.sign(self.channel, size, base, await self._chain.head(size))
        self.decider.note_signed(asker, size, base, now_s)
        return statement

    def _why_silent(self, view: View, size: int, base: int) -> str | None:
        if self._chain.rewritten or contradicts(view):
            return "the own peer's chain is not the one that was anchored"
        if view.status.members != view.members or self._mspid not in view.members.organisations:
            return "the record of its members is not its configuration"
        if base != view.status.size or size <= base:
            return f"it is anchored at {view.status.size}, and was asked about from {base} on"
        if size > view.tree.size:
            return f"the own peer has {view.tree.size} blocks"
        return None

    @property
    def lag_s(self) -> float:
        """How long the oldest block that is not anchored has been there, seconds."""
        return 0.0 if self.view is None else self.decider.lag_s(self.view, self._clock())

    async def _do(self, action: Action, view: View) -> None:
        tree, final = view.tree, view.status.final
        if isinstance(action, Attest):
            at_final = final is not None and action.size == final.size
            first = (final.previous[0] if final.previous else 0) if final and at_final else view.status.size
            await self._ledger.attest(
                self.channel,
                action.size,
                await self._chain.head(action.size),
                height=tree.size,
                consistency=tree.consistency(first, action.size),
                opens=action.opens,
                conclude=action.ends,
            )
        elif isinstance(action, Cosign):
            await self._cosign(action.size, view)
        elif isinstance(action, Conclude):
            proof = tree.consistency(min(view.status.size, action.size), action.size)
            await self._ledger.conclude(self.channel, action.size, consistency=proof)
        else:
            await self._ledger.set_members(self.channel, view.members)

    async def _cosign(self, size: int, view: View) -> None:
        """Have a round signed and recorded; the next step opens one of its own where that makes no anchor."""
        assert self._cosigner is not None  # noqa: S101 - else it is not decided
        base, is_done = view.status.size, False
        try:
            own = self._cosigner.register.sign(self.channel, size, base, await self._chain.head(size))
            statements = await self._cosigner.gather(own, self.decider.in_turn(view))
            if statements:
                done = await self._cosigner.settle(statements, view.tree.consistency(base, size))
                is_done = done.get("anchored") is True
                if done.get("refused"):
                    _log.info("%s: a signed round was refused: %s", self.channel, done["refused"])
        finally:
            if not is_done:
                self.decider.cosigning_failed()

    def _judge(self, view: View, now_s: float) -> None:
        """Raise and clear what is wrong."""
        status, tree = view.status, view.tree
        differ = status.members != view.members
        self._differ_since = (self._differ_since or now_s) if differ else None
        members = differ and now_s - (self._differ_since or now_s) > self._pace.interval_s
        self.alarms.set("members", members and _members_told(view))
        self.alarms.set("rewritten", self._chain.rewritten or (contradicts(view) and _contradiction_told(view)))
        fork_us = status.fork_time_us
        is_new = fork_us is not None and self._now_us() - fork_us < DAY_US
        self.alarms.set(
            "forked", is_new and f"at {status.fork_size} blocks its organisations have attested different heads"
        )
        late = self.decider.is_late(view, now_s)
        self.alarms.set(
            "late", late and f"it has {tree.size} blocks, and {status.size} are anchored: agents are silent or stopped"
        )


def _members_told(view: View) -> str:
    record = view.status.members
    there = "nothing" if record is None else f"{', '.join(record.organisations)} from block 0 {record.genesis[:16]}"
    wanted = view.members
    return (
        f"its configuration has {', '.join(wanted.organisations)} from block 0 {wanted.genesis[:16]}, the record of "
        f"its members {there}: it is not anchored until they agree"
    )


def _contradiction_told(view: View) -> str:
    final = view.status.final
    return (
        f"the own peer's chain is not the one that was anchored at {final.size if final else 0} blocks: its past was "
        "changed, here or by those who attested"
    )
