"""What an agent does next for one channel: pure, from what the ledger says and what its own peer's chain has.

Each organisation may have one round open: a size above the last anchor, which it does not give up until an anchor is
at least as large, or until its size can get no majority any more. Every agent joins the rounds of all others as soon as
its own peer has so many blocks. So a round that an honest agent has opened ends: the honest agents, who are a majority,
all come to have these blocks and all say the same of them. Nobody waits for a size that a liar has named: it is joined
when the own chain has it and not before, and of a liar who opens one round after the other two are joined an interval.
That nobody can make two heads final at one size, or a head that does not begin with the last one, is the contract's
doing.

Agents take turns: the size of the last anchor tells whose turn it is. That agent first has the others sign the head of
its size, which costs one transaction for all (:mod:`services.anchor.cosigning`). Where that makes no anchor, it opens a
round, which costs as many transactions as a majority has members; who is not needed for a majority waits. An agent that
has signed gives the round a while before it opens one itself, once for each anchor, whoever has asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from gridledger.client.anchors import AnchorStatus, ChannelMembers, Round
from gridledger.protocol.merkle import Tree

SLOT: Final = 0.8
"""Of an interval: rounds are opened at multiples of it by the wall clock, so that they end within an interval, and so
that those of several channels come at once: their transactions then share blocks of the anchoring channel."""
TURN: Final = 0.15
"""Of an interval: how much later each further organisation opens a round, or joins one that does not need it."""
LATE_INTERVALS: Final = 3
"""So many intervals without an anchor are an alarm."""

_MAX_SAMPLES: Final = 1024
_MAX_TRIED: Final = 256


@dataclass(frozen=True, slots=True)
class Pace:
    """A channel is anchored at most ``interval_s`` or ``interval_blocks`` behind, whichever comes first."""

    interval_s: float = 10.0
    interval_blocks: int = 256


class SayMembers(NamedTuple):
    """Say which organisations belong to the channel."""


class Attest(NamedTuple):
    """Attest the own chain's head at a size; ``opens`` a round of one's own. ``ends``: end the round where that says
    something new: an anchor or a fork."""

    size: int
    opens: bool = False
    ends: bool = False


class Cosign(NamedTuple):
    """Have the others sign the head of a size, and hand that to the contract."""

    size: int


class Conclude(NamedTuple):
    """Have recorded what has been said of a size."""

    size: int


Action: TypeAlias = SayMembers | Attest | Cosign | Conclude


class View(NamedTuple):
    """What an agent knows: of the ledger, and of its own peer. ``members`` are those of the channel's configuration."""

    members: ChannelMembers
    status: AnchorStatus
    tree: Tree


@dataclass(slots=True)
class _Cosigning:
    """A round that this agent has had signed: from which anchor on, and when."""

    base: int
    at_s: float
    has_failed: bool = False


@dataclass(slots=True)
class Growth:
    """When a chain had how many blocks, as far back as that matters."""

    _samples: list[tuple[int, float]] = field(default_factory=list)

    def note(self, size: int, now_s: float) -> None:
        """So many blocks were there at this time (monotonic seconds)."""
        if not self._samples or size > self._samples[-1][0]:
            self._samples.append((size, now_s))
        if len(self._samples) > _MAX_SAMPLES:
            del self._samples[1::2]  # some blocks then count as a little younger than they are

    def since(self, size: int) -> float | None:
        """Since when there are more blocks than this; None where there are not."""
        while len(self._samples) > 1 and self._samples[0][0] <= size:
            del self._samples[0]
        first = self._samples[0] if self._samples else (0, 0.0)
        return first[1] if first[0] > size else None


def majority_of(count: int) -> int:
    """How many of so many organisations are a majority."""
    return count // 2 + 1


def contradicts(view: View) -> bool:
    """Whether the own peer's chain is not the one that was anchored."""
    final = view.status.final
    return final is not None and final.size <= view.tree.size and view.tree.root(final.size).hex() != final.head.root


class Decider:
    """One organisation's decisions on one channel. ``mspid`` is its own; times are monotonic, in seconds, but for
    ``wall_s``, which gives seconds since 1970. A wrong clock opens rounds at other times than others do, as often."""

    def __init__(self, mspid: str, pace: Pace, wall_s: Callable[[], float]) -> None:
        self._mspid = mspid
        self._wall_s = wall_s
        self._pace = pace
        self.growth = Growth()
        self._seen: dict[tuple[str, int], float] = {}
        self._joined: dict[str, tuple[int, float]] = {}
        self._opened_s: float | None = None
        self._cosigning: _Cosigning | None = None
        self._signed: dict[str, tuple[int, float]] = {}
        self._signed_first: tuple[int, float] | None = None
        self._tried: dict[Action, float] = {}
        self._forks: dict[tuple[int, int], None] = {}

    def decide(self, view: View, now_s: float, *, can_cosign: bool = False) -> Action | None:
        """What to do now, if anything. What was decided counts as tried: it is decided again a turn later, if still
        needed, so that a call that failed is made anew. ``can_cosign``: a majority's agents can be asked."""
        self.growth.note(view.tree.size, now_s)
        self._forget(view.status)
        turn_s = TURN * self._pace.interval_s
        for action in self._wanted(view, now_s, can_cosign):
            tried_s = self._tried.get(action)
            if tried_s is None or now_s - tried_s >= turn_s:
                self._tried.pop(action, None)
                self._tried[action] = now_s
                self._note(action, view.status, now_s)
                return action
        return None

    def cosigning_failed(self) -> None:
        """The round that was to be signed has made no anchor: a round of one's own comes next."""
        if self._cosigning is not None:
            self._cosigning.has_failed = True

    def may_sign(self, asker: str, size: int, now_s: float) -> bool:
        """Whether an organisation that asks for a statement asks no more often than is due."""
        return not self._comes_too_soon(self._signed.get(asker), size, now_s)

    def note_signed(self, asker: str, size: int, base: int, now_s: float) -> None:
        """A statement was signed for an organisation."""
        if self._signed.get(asker, (0, 0.0))[0] != size:
            self._signed[asker] = size, now_s
        if self._signed_first is None or self._signed_first[0] != base:
            self._signed_first = base, now_s

    def in_turn(self, view: View) -> Sequence[str]:
        """The organisations in the order in which they open the next round."""
        names = view.members.organisations
        first = view.status.size % len(names)
        return (*names[first:], *names[:first])

    def turn(self, view: View) -> int | None:
        """How many organisations come before this one at the next round; None where it is none of the channel's."""
        return self._turn(view) if self._mspid in view.members.organisations else None

    def until_slot_s(self, turn: int) -> float:
        """Seconds until the next slot begins for an organisation with this turn."""
        slot_s = SLOT * self._pace.interval_s
        return slot_s - (self._wall_s() - turn * TURN * self._pace.interval_s) % slot_s

    def lag_s(self, view: View, now_s: float) -> float:
        """How long the oldest block that is not anchored has been there, seconds."""
        since = self.growth.since(view.status.size)
        return 0.0 if since is None else now_s - since

    def is_late(self, view: View, now_s: float) -> bool:
        """Whether no anchor came for three intervals, of time or of blocks."""
        blocks = view.tree.size - view.status.size
        late_s, late_blocks = LATE_INTERVALS * self._pace.interval_s, LATE_INTERVALS * self._pace.interval_blocks
        return self.lag_s(view, now_s) > late_s or blocks > late_blocks

    def _wanted(self, view: View, now_s: float, can_cosign: bool) -> Iterator[Action]:
        """All that there is to do, what matters most first."""
        if view.status.members != view.members:
            if (view.status.voices or {}).get(self._mspid) != view.members:
                yield SayMembers()
            return
        if self._mspid not in view.members.organisations:
            return
        if contradicts(view):
            yield from self._dissent(view)
            return
        for one in view.status.rounds:
            self._seen.setdefault((one.mspid, one.size), now_s)
        yield from self._ends_of_others(view, now_s)
        yield from self._joins(view, now_s)
        yield from self._opens(view, now_s, can_cosign)

    def _dissent(self, view: View) -> Iterator[Action]:
        """Put on record that the own chain has another head at the last anchor's size, if it can be shown to begin with
        the anchor before."""
        final = view.status.final
        if final is None or self._mspid in final.organisations:
            return
        before = final.previous
        if before is None or view.tree.root(before[0]).hex() == before[1]:
            yield Attest(final.size)

    def _ends_of_others(self, view: View, now_s: float) -> Iterator[Action]:
        """End a round that has its majority and nobody has ended, or that shows a fork which is not on record."""
        for one in self._had(view):
            agreed = _largest(one, view.tree.root(one.size).hex()) >= majority_of(len(view.members.organisations))
            forked = len(set(one.said.values())) > 1 and (one.size, len(one.said)) not in self._forks
            waits_s = TURN * self._pace.interval_s * (1 + self._turn(view))
            if (agreed or forked) and now_s - self._seen[one.mspid, one.size] >= waits_s:
                if not agreed:  # it is recorded, or refused as recorded already
                    self._forks[one.size, len(one.said)] = None
                yield Conclude(one.size)

    def _joins(self, view: View, now_s: float) -> Iterator[Action]:
        candidates = [
            one
            for one in self._had(view)
            if self._mspid not in one.said and not self._is_too_soon(one, now_s) and self._may_join(one, view, now_s)
        ]
        candidates.sort(key=lambda one: (_largest(one, view.tree.root(one.size).hex()), one.size), reverse=True)
        for one in candidates:
            yield Attest(one.size, ends=_ends(one, view))

    def _is_too_soon(self, one: Round, now_s: float) -> bool:
        """Whether an organisation asks for more than is due: half an interval after its last round, of time or blocks,
        an honest one opens none."""
        return self._comes_too_soon(self._joined.get(one.mspid), one.size, now_s)

    def _comes_too_soon(self, before: tuple[int, float] | None, at_size: int, now_s: float) -> bool:
        size, at_s = before or (at_size, now_s)
        blocks = at_size - size
        return blocks != 0 and 2 * blocks < self._pace.interval_blocks and 2 * (now_s - at_s) < self._pace.interval_s

    def _may_join(self, one: Round, view: View, now_s: float) -> bool:
        """Whether this agent is needed for a majority, or has waited for those that are."""
        root = view.tree.root(one.size).hex()
        if any(head.root != root for head in one.said.values()):
            return True
        absent = [name for name in self.in_turn(view) if name not in one.said]
        needed = majority_of(len(view.members.organisations)) - _largest(one, root)
        extra = max(0, absent.index(self._mspid) - needed + 1)
        return now_s - self._seen[one.mspid, one.size] >= extra * TURN * self._pace.interval_s

    def _opens(self, view: View, now_s: float, can_cosign: bool) -> Iterator[Action]:
        since, pace = self.growth.since(view.status.size), self._pace
        if since is None:
            return
        blocks, turn = view.tree.size - view.status.size, self._turn(view)
        is_due = now_s >= self._first_slot(since, now_s) + pace.interval_s * turn * TURN
        is_due = is_due or blocks >= pace.interval_blocks * (SLOT + turn * TURN)
        if not is_due or any(now_s - at_s < 2 * TURN * pace.interval_s for _, at_s in self._joined.values()):
            return
        if self._is_under_way(view.status.size, now_s):
            return
        mine = next((one for one in view.status.rounds if one.mspid == self._mspid), None)
        if mine is not None and (not self._is_dead(mine, view) or mine.size >= view.tree.size):
            return
        if mine is not None and self._opened_s is not None and now_s - self._opened_s < pace.interval_s:
            return
        if can_cosign and mine is None and not self._has_cosigned(view.status.size):
            yield Cosign(view.tree.size)
            return
        yield Attest(view.tree.size, opens=True, ends=len(view.members.organisations) == 1)

    def _has_cosigned(self, base: int) -> bool:
        return self._cosigning is not None and self._cosigning.base == base

    def _is_under_way(self, base: int, now_s: float) -> bool:
        """Whether a round that was signed may still make the next anchor."""
        within_s = 2 * TURN * self._pace.interval_s
        own, other = self._cosigning, self._signed_first
        if own is not None and own.base == base and not own.has_failed and now_s - own.at_s < within_s:
            return True
        return other is not None and other[0] == base and now_s - other[1] < within_s

    def _first_slot(self, since_s: float, now_s: float) -> float:
        """When the first slot behind a time begins (both monotonic)."""
        slot_s = SLOT * self._pace.interval_s
        last_s = now_s - self._wall_s() % slot_s
        return last_s - (last_s - since_s) // slot_s * slot_s

    def _is_dead(self, one: Round, view: View) -> bool:
        """Whether no head can get a majority at the size of a round any more."""
        count = len(view.members.organisations)
        most = max(Counter(one.said.values()).values(), default=0)
        return most + count - len(one.said) < majority_of(count)

    def _had(self, view: View) -> list[Round]:
        """The open rounds whose blocks the own peer has."""
        return [one for one in view.status.rounds if view.status.size < one.size <= view.tree.size]

    def _turn(self, view: View) -> int:
        return self.in_turn(view).index(self._mspid)

    def _note(self, action: Action, status: AnchorStatus, now_s: float) -> None:
        if isinstance(action, Cosign):
            self._cosigning = _Cosigning(status.size, now_s)
        if not isinstance(action, Attest):
            return
        if action.opens:
            self._opened_s = now_s
        for one in status.rounds:
            if one.size == action.size and one.mspid != self._mspid:
                self._joined[one.mspid] = (one.size, now_s)

    def _forget(self, status: AnchorStatus) -> None:
        """What is over. Only open rounds are remembered: one of each organisation."""
        is_open = {(one.mspid, one.size) for one in status.rounds}
        self._seen = {key: at_s for key, at_s in self._seen.items() if key in is_open}
        while len(self._tried) > _MAX_TRIED:
            del self._tried[next(iter(self._tried))]
        while len(self._forks) > _MAX_TRIED:
            del self._forks[next(iter(self._forks))]


def _largest(one: Round, root: str) -> int:
    """How many organisations say the same head, of those with this root."""
    return max(Counter(head for head in one.said.values() if head.root == root).values(), default=0)


def _ends(one: Round, view: View) -> bool:
    """Whether one's own word ends a round: it completes the majority, or another head is there."""
    root = view.tree.root(one.size).hex()
    has_other = any(head.root != root for head in one.said.values())
    return has_other or _largest(one, root) + 1 >= majority_of(len(view.members.organisations))
