"""Histories: what clients asked, when, and what they were told; and the check of one against the peers' chains.

Pure: a history is made by a load on real processes (steady_load.py) or by hand. What it must show:

- All peers have one chain, and each transaction takes effect on it once at most.
- What was acknowledged, when it was ordered or when it was committed, is on every peer's chain, with the code that was
  told. What was told not to be ordered is on none.
- A transaction that began after another was acknowledged stands behind it.
- A read sees one state of its peer's chain: not older than what that peer had told as committed, or had let another
  read see, before the read began; and nothing that nobody had asked for yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Kind(Enum):
    """What a client asked for: to have a transaction ordered, or ordered and committed, or to read a key."""

    ORDER = "order"
    COMMIT = "commit"
    READ = "read"


class Outcome(Enum):
    """What it was told. REFUSED: that it will not be on the chain; UNKNOWN: nothing that says so."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One invocation and its completion. Times in seconds of one clock.

    ``value`` is what was written or read; ``code`` what a commit was told. Each value of a key is written once.
    """

    kind: Kind
    peer: str
    channel: str
    began_s: float
    ended_s: float
    outcome: Outcome
    tx_id: str = ""
    code: str = ""
    key: str = ""
    value: Any = None


class Entry(NamedTuple):
    """One transaction on a chain, with its code."""

    tx_id: str
    code: str


_NOT_COUNTED = frozenset(("DUPLICATE_TXID",))
VALID = "VALID"


@dataclass
class History:
    """The operations of one run."""

    operations: list[Operation] = field(default_factory=list)

    def check(self, channel: str, chains: Mapping[str, Sequence[Entry]]) -> list[str]:
        """What of one channel does not hold, given each peer's chain in order; nothing if all does."""
        mine = [item for item in self.operations if item.channel == channel]
        faults = _chains_differ(chains)
        chain = max(chains.values(), key=len)
        faults += _taken_twice(chain)
        places: dict[str, int] = {}
        for place, entry in enumerate(chain):
            if entry.code not in _NOT_COUNTED:
                places.setdefault(entry.tx_id, place)
        faults += _answers_wrong(mine, chains, places)
        faults += _out_of_order([item for item in mine if item.tx_id in places], places)
        for peer in sorted(chains):
            faults += _Reads(mine, chain, places).check(peer)
        return faults


def _chains_differ(chains: Mapping[str, Sequence[Entry]]) -> list[str]:
    (first, chain), *others = sorted(chains.items())
    return [f"{first} and {peer} have different chains" for peer, other in others if list(other) != list(chain)]


def _taken_twice(chain: Sequence[Entry]) -> list[str]:
    seen: set[str] = set()
    faults = []
    for entry in chain:
        if entry.code in _NOT_COUNTED:
            continue
        if entry.tx_id in seen:
            faults.append(f"{entry.tx_id[:12]} counts twice")
        seen.add(entry.tx_id)
    return faults


def _answers_wrong(
    operations: Sequence[Operation], chains: Mapping[str, Sequence[Entry]], places: Mapping[str, int]
) -> list[str]:
    """What clients were told of transactions, held against every chain."""
    faults = []
    for peer, chain in sorted(chains.items()):
        codes = {entry.tx_id: entry.code for entry in reversed(chain) if entry.code not in _NOT_COUNTED}
        for item in operations:
            if item.kind is Kind.READ:
                continue
            found = codes.get(item.tx_id)
            if item.outcome is Outcome.DONE and found is None:
                faults.append(f"{item.tx_id[:12]}, acknowledged ({item.kind.value}), is not on {peer}'s chain")
            elif item.outcome is Outcome.REFUSED and item.tx_id in places:
                faults.append(f"{item.tx_id[:12]}, told to be not ordered, is on {peer}'s chain")
            elif item.outcome is Outcome.DONE and item.kind is Kind.COMMIT and found != item.code:
                faults.append(f"{item.tx_id[:12]} was told as {item.code}, and is {found} on {peer}")
    return faults


def _out_of_order(operations: Sequence[Operation], places: Mapping[str, int]) -> list[str]:
    """Where a transaction stands before one that had been acknowledged when it began."""
    acknowledged = sorted((item for item in operations if item.outcome is Outcome.DONE), key=lambda item: item.ended_s)
    faults, last, position = [], -1, 0
    for item in sorted(operations, key=lambda item: item.began_s):
        while position < len(acknowledged) and acknowledged[position].ended_s < item.began_s:
            last = max(last, places[acknowledged[position].tx_id])
            position += 1
        if places[item.tx_id] < last:
            faults.append(f"{item.tx_id[:12]} stands before a transaction that was acknowledged before it began")
    return faults


class _Reads:
    """The reads of a channel. A state is named by how many transactions of the chain it has."""

    def __init__(self, operations: Sequence[Operation], chain: Sequence[Entry], places: Mapping[str, int]) -> None:
        self._operations = operations
        self._places = places
        self._writes: dict[str, list[tuple[int, Operation]]] = {}
        for item in operations:
            place = places.get(item.tx_id)
            if item.key and item.kind is not Kind.READ and place is not None and chain[place].code == VALID:
                self._writes.setdefault(item.key, []).append((place, item))
        for writes in self._writes.values():
            writes.sort(key=lambda pair: pair[0])

    def check(self, peer: str) -> list[str]:
        """Find a state for every read at a peer, or say for which there is none."""
        mine = [item for item in self._operations if item.peer == peer and item.outcome is Outcome.DONE]
        ended = [(item.ended_s, self._places[item.tx_id] + 1) for item in mine if self._shows(item)]
        faults = []
        for item in sorted((one for one in mine if one.kind is Kind.READ), key=lambda one: one.began_s):
            least = max((state for at_s, state in ended if at_s < item.began_s), default=0)
            found = self._state(item)
            if found is None:
                faults.append(f"a read of {item.key!r} at {peer} gave {item.value!r}, which nobody had written")
                continue
            first, last = found
            if last < least:
                faults.append(f"a read of {item.key!r} at {peer} gave {item.value!r}, which it had shown overwritten")
                continue
            ended.append((item.ended_s, max(first, least)))
        return faults

    def _shows(self, item: Operation) -> bool:
        """Whether a peer has told by this that it has committed a transaction."""
        return item.kind is Kind.COMMIT and item.tx_id in self._places

    def _state(self, item: Operation) -> tuple[int, int] | None:
        """The first and the last state in which the key has the value that was read."""
        writes = self._writes.get(item.key, [])
        end = 1 << 62
        if item.value is None:
            return 0, writes[0][0] if writes else end
        for number, (place, write) in enumerate(writes):
            if write.value == item.value and write.began_s <= item.ended_s:
                return place + 1, writes[number + 1][0] if number + 1 < len(writes) else end
        return None
