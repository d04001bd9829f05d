"""The merge protocol under aggregators that die: another one finishes from what the ledger says, and no VVC is lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.dvs_grid import GROUPS, TIME_US, frame, loads
from tests.support.dvs_merge import (
    ACCEPTABLE_ROUNDING,
    Ledgers,
    check_merges,
    evaluate,
    finish,
    owned,
    standing_merge,
    total,
)

Step = Callable[[Ledgers, dict[Any, Any]], None]


def ask(group: str) -> Step:
    """GlobalController."""

    def step(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
        memory["merge"] = ledgers.submit(ledgers.main, "GlobalController", {"group": group})[0]["merge"]

    return step


def lend(group: str) -> Step:
    """Lend."""

    def step(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
        memory["lent", group] = ledgers.lend(group, memory["merge"])

    return step


def adopt(group: str) -> Step:
    """Adopt what was lent."""

    def step(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
        lent, tx_id = memory["lent", group]
        ledgers.adopt(group, memory["merge"], lent["vvc"], tx_id)

    return step


def inject(group: str, bus: int, time: int) -> Step:
    """A sag at a bus, answered by the merged group."""

    def step(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
        result = ledgers.main.call("ComputeVSI", frame(group, TIME_US + time, {bus: 0.9}))
        memory["injected"] = memory.get("injected", 0.0) + result["control"]["q_pu"]

    return step


def split(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
    """Split."""
    memory["parts"] = ledgers.submit(ledgers.main, "Split", {"merge": memory["merge"]})[0]["vvc"]


def restore(group: str) -> Step:
    """Restore a part."""

    def step(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
        memory["restored", group] = ledgers.restore(group, memory["merge"], memory["parts"][group])[1]

    return step


def close(group: str) -> Step:
    """Close a component."""

    def step(ledgers: Ledgers, memory: dict[Any, Any]) -> None:
        ledgers.close(group, memory["merge"], memory["restored", group])

    return step


LIFE: list[Step] = [
    *(ask("1"), lend("1"), adopt("1"), lend("2"), adopt("2"), inject("1_2", 6, 1)),
    *(ask("1_2"), lend("3"), adopt("3"), inject("1_2_3", 9, 2), split),
    *(restore("2"), close("2"), restore("1"), restore("3"), close("1"), close("3")),
]


@pytest.mark.parametrize("single", [True, False], ids=["one channel", "a channel per group"])
@pytest.mark.parametrize("died_after", range(len(LIFE) + 1))
def test_another_aggregator_finishes_after_any_step(died_after: int, single: bool) -> None:
    """And so does a third, when the second dies as well, after every other of its steps."""
    for second_died_after in range(died_after % 2, 14, 2):
        ledgers = Ledgers(single)
        for group in GROUPS:
            ledgers.shards[group].provide(group)
        before = total(ledgers)
        memory: dict[Any, Any] = {}
        for step in LIFE[:died_after]:
            step(ledgers, memory)
            check_merges(ledgers)
            assert total(ledgers) + memory.get("injected", 0.0) == pytest.approx(before, abs=ACCEPTABLE_ROUNDING)
        for _ in islice(finish(ledgers, "2"), second_died_after):
            check_merges(ledgers)
            assert total(ledgers) + memory.get("injected", 0.0) == pytest.approx(before, abs=ACCEPTABLE_ROUNDING)
        for _ in finish(ledgers, "1"):
            check_merges(ledgers)
        for group in GROUPS:
            assert standing_merge(ledgers, group) is None
            assert ledgers.shards[group].vvc(group) == owned(ledgers)[group]
        assert total(ledgers) + memory.get("injected", 0.0) == pytest.approx(before, abs=ACCEPTABLE_ROUNDING)
        expected = 1 if died_after == 0 else 2
        assert ledgers.main.call("GlobalController", {"group": "1"})["merge"] == expected


@pytest.mark.parametrize("single", [True, False])
def test_what_stands_can_be_told_without_seeing_writes(single: bool) -> None:
    """Where a merge of this number stands, Split is refused for gathering, or answers; else there is no such merge."""
    ledgers = Ledgers(single)
    number = evaluate(ledgers.main, "GlobalController", {"group": "1"})[0]["merge"]
    ledgers.main.refused("Split", {"merge": number}, "there is no merge")
    LIFE[0](ledgers, {})
    assert evaluate(ledgers.main, "GlobalController", {"group": "1"})[0]["merge"] == number
    ledgers.main.refused("Split", {"merge": number}, "gathering")


class MergeProtocol(RuleBasedStateMachine):
    """Any interleaving of alarms, merges, extensions, repetitions and givings-back, by any number of aggregators."""

    @initialize(single=st.booleans(), empty=st.sets(st.sampled_from(sorted(GROUPS))))
    def start(self, single: bool, empty: set[str]) -> None:
        self.ledgers = Ledgers(single)
        self.injected = 0.0
        self.given = 0.0
        self.time = TIME_US
        for group in GROUPS:
            self.give(group, 0.0 if group in empty else 0.5)

    def give(self, group: str, amount: float) -> None:
        """A new list for a group that owns its list."""
        self.given -= sum(owned(self.ledgers)[group].values())
        self.ledgers.shards[group].provide(group, amount)
        self.given += amount * len(loads(group))

    def merges(self, *statuses: str) -> list[dict[str, Any]]:
        """Unclosed merges of a status, as GlobalController answers them."""
        found = {}
        for group in GROUPS:
            merge = standing_merge(self.ledgers, group)
            if merge is not None and merge["status"] in statuses:
                found[merge["merge"]] = merge
        return [found[number] for number in sorted(found)]

    def sag(self, group: str, bus: int) -> str:
        """The outcome of a frame in which a bus sags."""
        self.time += 1
        channel = self.ledgers.main if "_" in group else self.ledgers.shards[group]
        result = channel.call("ComputeVSI", frame(group, self.time, {bus: 0.95}))
        if result["outcome"] == "injected":
            self.injected += result["control"]["q_pu"]
        return str(result["outcome"])

    @rule(group=st.sampled_from(sorted(GROUPS)), data=st.data())
    def alarm(self, group: str, data: st.DataObject) -> None:
        outcome = self.sag(group, data.draw(st.sampled_from(loads(group))))
        if outcome == "escalate":
            self.ledgers.submit(self.ledgers.main, "GlobalController", {"group": group})

    @rule(group=st.sampled_from(sorted(GROUPS)), amount=st.sampled_from([0.0, 0.25, 1.0]))
    def update(self, group: str, amount: float) -> None:
        channel = self.ledgers.shards[group]
        merge = standing_merge(self.ledgers, group)
        if merge is None:
            self.give(group, amount)
        elif merge["components"][group] == "in":
            channel.refused("UpdateResources", {"group": group, "vvc": {}}, "lent")

    @rule(group=st.sampled_from(sorted(GROUPS)))
    def ask(self, group: str) -> None:
        self.ledgers.submit(self.ledgers.main, "GlobalController", {"group": group})

    @precondition(lambda self: self.merges("gathering"))
    @rule(data=st.data(), adopt=st.booleans())
    def gather(self, data: st.DataObject, adopt: bool) -> None:
        merge = data.draw(st.sampled_from(self.merges("gathering")))
        asked = [name for name, status in merge["components"].items() if status == "asked"]
        group = data.draw(st.sampled_from(asked))
        lent, tx_id = self.ledgers.lend(group, merge["merge"])
        self.ledgers.main.refused("Split", {"merge": merge["merge"]}, "gathering")
        self.ledgers.shards[group].unchanged("Lend", {"group": group, "merge": merge["merge"]})
        if adopt:
            self.ledgers.adopt(group, merge["merge"], lent["vvc"], tx_id)
            argument = {"merge": merge["merge"], "group": group, "vvc": lent["vvc"], "tx_id": tx_id}
            argument["channel"] = self.ledgers.name(group)
            self.ledgers.main.unchanged("Adopt", argument)
            self.ledgers.main.refused("Adopt", argument | {"tx_id": "another"}, "tx_id")

    @precondition(lambda self: self.merges("open"))
    @rule(data=st.data(), then=st.sampled_from(["use", "extend", "split"]))
    def work(self, data: st.DataObject, then: str) -> None:
        merge = data.draw(st.sampled_from(self.merges("open")))
        if then == "use":
            assert self.sag(merge["group"], data.draw(st.sampled_from(loads(merge["group"])))) != "lent"
        elif then == "extend":
            self.ledgers.submit(self.ledgers.main, "GlobalController", {"group": merge["group"]})
        else:
            self.ledgers.submit(self.ledgers.main, "Split", {"merge": merge["merge"]})

    @precondition(lambda self: self.merges("returning"))
    @rule(data=st.data(), close=st.booleans())
    def give_back(self, data: st.DataObject, close: bool) -> None:
        number = data.draw(st.sampled_from(self.merges("returning")))["merge"]
        answer = self.ledgers.main.unchanged("Split", {"merge": number})
        group = data.draw(st.sampled_from([name for name, status in answer["components"].items() if status == "out"]))
        part = answer["vvc"][group]
        richer = {bus: amount + 1.0 for bus, amount in part.items()}
        self.ledgers.shards[group].refused("Restore", {"group": group, "merge": number, "vvc": richer}, "vvc")
        _, tx_id = self.ledgers.restore(group, number, part)
        self.ledgers.shards[group].unchanged("Restore", {"group": group, "merge": number, "vvc": part})
        self.ledgers.shards[group].refused("Lend", {"group": group, "merge": number}, "merge")
        if close:
            self.ledgers.close(group, number, tx_id)
            self.ledgers.main.unchanged("Close", {"merge": number, "group": group, "tx_id": tx_id})

    @rule(group=st.sampled_from(sorted(GROUPS)), steps=st.integers(0, 20))
    def another_aggregator(self, group: str, steps: int) -> None:
        for _ in islice(finish(self.ledgers, group), steps):
            check_merges(self.ledgers)

    @invariant()
    def nothing_is_lost(self) -> None:
        check_merges(self.ledgers)
        assert abs(total(self.ledgers) + self.injected - self.given) <= ACCEPTABLE_ROUNDING

    def teardown(self) -> None:
        """Whatever was left behind can be brought to its end."""
        if not hasattr(self, "ledgers"):
            return
        for group in GROUPS:
            for _ in finish(self.ledgers, group):
                self.nothing_is_lost()
        for group in GROUPS:
            assert standing_merge(self.ledgers, group) is None
            assert self.ledgers.shards[group].vvc(group) == owned(self.ledgers)[group]


TestMergeProtocol = MergeProtocol.TestCase
TestMergeProtocol.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
