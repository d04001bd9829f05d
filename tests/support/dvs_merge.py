"""An aggregator that merges groups over channels, and one that finishes what another left behind.

The second knows the channels, and nothing else but what the contract answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from gridledger import jsontext
from gridledger.contract.simulator.state import MemoryState
from tests.support.dvs_grid import GROUPS, Channel, components, loads

RECORDS = ["_".join(some) for n in range(1, len(GROUPS) + 1) for some in combinations(GROUPS, n)]
ACCEPTABLE_ROUNDING = 1e-9


@dataclass
class Ledgers:
    """The main channel and each group's own; all the same one where ``single``."""

    single: bool
    main: Channel = field(default_factory=Channel)
    shards: dict[str, Channel] = field(default_factory=dict)
    transactions: int = 0

    def __post_init__(self) -> None:
        self.main.plan(*RECORDS)
        for group in GROUPS:
            self.shards[group] = self.main if self.single else Channel().plan(group)

    def submit(self, channel: Channel, function: str, argument: Any) -> tuple[Any, str]:
        """Payload and transaction id."""
        self.transactions += 1
        return channel.call(function, argument), f"tx-{self.transactions}"

    def name(self, group: str) -> str:
        """Name of a group's channel."""
        return "grid" if self.single else f"shard{group}"

    def lend(self, group: str, merge: int) -> tuple[Any, str]:
        """Lend on the group's channel."""
        return self.submit(self.shards[group], "Lend", {"group": group, "merge": merge})

    def adopt(self, group: str, merge: int, vvc: Any, tx_id: str) -> Any:
        """Adopt on the main channel."""
        argument = {"merge": merge, "group": group, "vvc": vvc, "channel": self.name(group), "tx_id": tx_id}
        return self.submit(self.main, "Adopt", argument)[0]

    def restore(self, group: str, merge: int, vvc: Any) -> tuple[Any, str]:
        """Restore on the group's channel."""
        return self.submit(self.shards[group], "Restore", {"group": group, "merge": merge, "vvc": vvc})

    def close(self, group: str, merge: int, tx_id: str) -> Any:
        """Close on the main channel."""
        return self.submit(self.main, "Close", {"merge": merge, "group": group, "tx_id": tx_id})[0]


def evaluate(channel: Channel, function: str, argument: Any) -> tuple[Any, bool]:
    """Payload, and whether the function wrote; nothing is kept, as with an endorsement that is never submitted."""
    aside = Channel(MemoryState.from_bytes(channel.state.to_bytes()))
    payload = aside.call(function, argument)
    assert aside.last is not None
    return payload, bool(aside.last.writes)


def standing_merge(ledgers: Ledgers, group: str) -> dict[str, Any] | None:
    """The unclosed merge that a group is in: the one that GlobalController answers without writing anything."""
    answer, would_write = evaluate(ledgers.main, "GlobalController", {"group": group})
    return None if would_write or answer["merge"] is None else answer


def finish(ledgers: Ledgers, group: str) -> Iterator[None]:
    """Brings the merge that ``group`` is in to its end; may be dropped after any step, and begun again by another."""
    merge = standing_merge(ledgers, group)
    if merge is None:
        return
    number = merge["merge"]
    for name, status in merge["components"].items():
        if status == "asked":
            lent, tx_id = ledgers.lend(name, number)
            yield
            ledgers.adopt(name, number, lent["vvc"], tx_id)
            yield
    split, _ = ledgers.submit(ledgers.main, "Split", {"merge": number})
    yield
    for name, status in split["components"].items():
        if status != "back":
            _, tx_id = ledgers.restore(name, number, split["vvc"][name])
            yield
            ledgers.close(name, number, tx_id)
            yield


def owned(ledgers: Ledgers) -> dict[str, dict[str, float]]:
    """By group, what is left of its VVC, wherever it is: with the group, under way, or with a merge."""
    return {group: _owned_by(ledgers, group) for group in GROUPS}


def total(ledgers: Ledgers) -> float:
    """All that is left, p.u."""
    return sum(sum(vvc.values()) for vvc in owned(ledgers).values())


def _owned_by(ledgers: Ledgers, group: str) -> dict[str, float]:
    stored = _state(ledgers.shards[group], f"vvc/{group}")
    if stored is None:
        return {}
    if stored["lent"] is None:
        return dict(stored["vvc"])
    assert stored["vvc"] == {}, "a list is owned by one place at a time"
    merge = _state(ledgers.main, f"merge/{stored['lent']['merge']}")
    component = merge["components"][group]
    if component["status"] == "asked":
        return dict(stored["lent"]["vvc"])
    if "part" in component:
        return dict(component["part"])
    joined = _state(ledgers.main, f"vvc/{merge['group']}")["vvc"]
    return {str(bus): joined[str(bus)] for bus in loads(group)}


def check_merges(ledgers: Ledgers) -> None:
    """What holds at any time: no list is in two places, and the index names exactly the unclosed merges."""
    index = _state(ledgers.main, "merge/0") or {"last": 0, "groups": {}}
    found: dict[str, int] = {}
    for number in range(1, index["last"] + 1):
        merge = _state(ledgers.main, f"merge/{number}")
        assert list(merge["components"]) == components(merge["group"])
        in_use = _state(ledgers.main, f"vvc/{merge['group']}")
        if merge["status"] != "closed":
            found |= dict.fromkeys(merge["components"], number)
            assert merge["status"] == "open" or in_use is None or in_use["vvc"] == {}
    assert found == index["groups"]
    assert list(index["groups"]) == sorted(index["groups"], key=int)


def _state(channel: Channel, key: str) -> Any:
    stored = channel.state.get("", key)
    return None if stored is None else jsontext.loads_trusted(stored.value)
