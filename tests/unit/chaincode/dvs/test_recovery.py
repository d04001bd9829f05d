"""The merge protocol under aggregators that die: another one finishes from what the ledger says, and no VVC is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.feeder.merging import Merge
from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import GROUPS, frame, loads
from tests.support.dvs_merge import ACCEPTABLE_ROUNDING, FourGroups, finish, handed, standing_merge
from tests.support.dvs_world import Died, Life
from tests.support.examples import examples

Step = Callable[[FourGroups, dict[Any, Any]], None]


def ask(group: str) -> Step:
    """GlobalController."""

    def step(world: FourGroups, memory: dict[Any, Any]) -> None:
        memory["merge"] = world.on_main("GlobalController", group=group)["merge"]

    return step


def lend(group: str) -> Step:
    """Lend."""

    def step(world: FourGroups, memory: dict[Any, Any]) -> None:
        memory["lent", group] = world.on_own(group, "Lend", merge=memory["merge"])

    return step


def adopt(group: str) -> Step:
    """Adopt what was lent."""

    def step(world: FourGroups, memory: dict[Any, Any]) -> None:
        lent, tx_id = memory["lent", group]
        world.adopt(group, memory["merge"], lent, tx_id)

    return step


def inject(group: str, bus: int, time: int) -> Step:
    """A sag at a bus, answered by the merged group."""

    def step(world: FourGroups, memory: dict[Any, Any]) -> None:
        result = world.main.call("ComputeVSI", frame(group, TIME_US + time, {bus: 0.9}))
        memory["injected"] = memory.get("injected", 0.0) + result["control"]["q_pu"]

    return step


def split(world: FourGroups, memory: dict[Any, Any]) -> None:
    """Split."""
    memory["parts"] = world.on_main("Split", merge=memory["merge"])["vvc"]


def restore(group: str) -> Step:
    """Restore a part."""

    def step(world: FourGroups, memory: dict[Any, Any]) -> None:
        part = memory["parts"][group]
        memory["restored", group] = world.on_own(group, "Restore", merge=memory["merge"], vvc=part)[1]

    return step


def close(group: str) -> Step:
    """Close a component."""

    def step(world: FourGroups, memory: dict[Any, Any]) -> None:
        world.on_main("Close", merge=memory["merge"], group=group, tx_id=memory["restored", group])

    return step


def nothing_is_lost(world: FourGroups, memory: dict[Any, Any], before: float) -> None:
    """VVC left and injected is what it was, and the contract's index names exactly the unclosed merges."""
    world.unclosed_merges()
    assert world.owned() + memory.get("injected", 0.0) == pytest.approx(before, abs=ACCEPTABLE_ROUNDING)


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
        world = FourGroups(single)
        for group in GROUPS:
            world.provide(group, 1.5)
        before = world.owned()
        memory: dict[Any, Any] = {}

        check = partial(nothing_is_lost, world, memory, before)
        for step in LIFE[:died_after]:
            step(world, memory)
            check()
        world.on_commit = check
        with suppress(Died):
            finish(world, "2", Life(die_after=second_died_after))
        finish(world, "1")
        for group in GROUPS:
            assert standing_merge(world, group) is None
            assert world.channel_of(group).vvc(group) == world.owned_by(group)
        check()
        expected = 1 if died_after == 0 else 2
        assert world.on_main("GlobalController", group="1")["merge"] == expected


@pytest.mark.parametrize("single", [True, False])
def test_what_stands_can_be_told_without_seeing_writes(single: bool) -> None:
    """Where a merge of this number stands, Split is refused for gathering, or answers; else there is no such merge."""
    world = FourGroups(single)
    number = world.main.preview("GlobalController", {"group": "1"}).payload["merge"]
    world.main.refused("Split", {"merge": number}, "there is no merge")
    LIFE[0](world, {})
    assert world.main.preview("GlobalController", {"group": "1"}).payload["merge"] == number
    world.main.refused("Split", {"merge": number}, "gathering")


@pytest.mark.parametrize("single", [True, False])
def test_a_group_that_is_back_from_a_later_merge_is_not_asked(single: bool) -> None:
    """It could not lend to the older merge, which would stand for ever."""
    world, memory = FourGroups(single), dict[Any, Any]()
    for group in GROUPS:
        world.provide(group, 1.5)
    assert world.on_main("GlobalController", group="1")["group"] == "1_2"
    for step in (ask("3"), lend("3"), adopt("3"), lend("10"), adopt("10")):
        step(world, memory)
    for _ in range(2):  # merge 1 and merge 3
        finish(world, "1")
        assert world.on_main("GlobalController", group="1")["group"] == "1_2"
    finish(world, "1")
    assert world.on_main("GlobalController", group="3_10")["status"] == "no_group"
    finish(world, "3")
    assert world.on_main("GlobalController", group="3")["group"] == "1_3"


class MergeProtocol(RuleBasedStateMachine):
    """Any interleaving of alarms, merges, extensions, repetitions and givings-back, by any number of aggregators."""

    RULES: ClassVar[dict[str, Any]] = {}

    @initialize(single=st.booleans(), empty=st.sets(st.sampled_from(sorted(GROUPS))))
    def start(self, single: bool, empty: set[str]) -> None:
        self.world = FourGroups(single, **self.RULES)
        self.world.on_commit = self.world.unclosed_merges
        self.injected = 0.0
        self.given = 0.0
        self.time = TIME_US
        for group in GROUPS:
            self.give(group, 0.0 if group in empty else 0.5)

    def give(self, group: str, amount: float) -> None:
        """A new list for a group that owns its list."""
        self.given -= sum(self.world.owned_by(group).values())
        self.world.provide(group, amount)
        self.given += amount * len(loads(group))

    def merges(self, *statuses: str) -> list[Merge]:
        """Unclosed merges of a status."""
        standing = (standing_merge(self.world, group) for group in GROUPS)
        found = {merge.number or 0: merge for merge in standing if merge is not None and merge.status in statuses}
        return [found[number] for number in sorted(found)]

    def sag(self, group: str, bus: int) -> str:
        """The outcome of a frame in which a bus sags."""
        self.time += 1
        result = self.world.channel_of(group).call("ComputeVSI", frame(group, self.time, {bus: 0.95}))
        if result["outcome"] == "injected":
            self.injected += result["control"]["q_pu"]
        return str(result["outcome"])

    @rule(group=st.sampled_from(sorted(GROUPS)), data=st.data())
    def alarm(self, group: str, data: st.DataObject) -> None:
        outcome = self.sag(group, data.draw(st.sampled_from(loads(group))))
        if outcome == "escalate":
            self.world.on_main("GlobalController", group=group)

    @rule(group=st.sampled_from(sorted(GROUPS)), amount=st.sampled_from([0.0, 0.25, 1.0]))
    def update(self, group: str, amount: float) -> None:
        merge = standing_merge(self.world, group)
        if merge is None:
            self.give(group, amount)
        elif merge.components[group] == "in":
            self.world.channel_of(group).refused("UpdateResources", {"group": group, "vvc": {}}, "lent")

    @rule(group=st.sampled_from(sorted(GROUPS)))
    def ask(self, group: str) -> None:
        self.world.on_main("GlobalController", group=group)

    @precondition(lambda self: self.merges("gathering"))
    @rule(data=st.data(), adopt=st.booleans())
    def gather(self, data: st.DataObject, adopt: bool) -> None:
        merge = data.draw(st.sampled_from(self.merges("gathering")))
        asked = [name for name, status in merge.components.items() if status == "asked"]
        group = data.draw(st.sampled_from(asked))
        number = merge.number
        assert number is not None
        lent, tx_id = self.world.on_own(group, "Lend", merge=number)
        self.world.main.refused("Split", {"merge": number}, "gathering")
        self.world.channel_of(group).unchanged("Lend", {"group": group, "merge": number})
        if adopt:
            self.world.adopt(group, number, lent, tx_id)
            argument = {"merge": number, "group": group, "tx_id": tx_id} | handed(lent)
            argument["channel"] = self.world.layout.channel_of(group)
            self.world.main.unchanged("Adopt", argument)
            self.world.main.refused("Adopt", argument | {"tx_id": "another"}, "tx_id")

    @precondition(lambda self: self.merges("open"))
    @rule(data=st.data(), then=st.sampled_from(["use", "extend", "split"]))
    def work(self, data: st.DataObject, then: str) -> None:
        merge = data.draw(st.sampled_from(self.merges("open")))
        if then == "use":
            assert self.sag(merge.group, data.draw(st.sampled_from(loads(merge.group)))) != "lent"
        elif then == "extend":
            self.world.on_main("GlobalController", group=merge.group)
        else:
            self.world.on_main("Split", merge=merge.number)

    @precondition(lambda self: self.merges("returning"))
    @rule(data=st.data(), close=st.booleans())
    def give_back(self, data: st.DataObject, close: bool) -> None:
        number = data.draw(st.sampled_from(self.merges("returning"))).number
        answer = self.world.main.unchanged("Split", {"merge": number})
        group = data.draw(st.sampled_from([name for name, status in answer["components"].items() if status == "out"]))
        part = {name: lists[group] for name, lists in handed(answer).items()}
        own = self.world.channel_of(group)
        restore = {"group": group, "merge": number} | part
        richer = {bus: amount + 1.0 for bus, amount in part["vvc"].items()}
        own.refused("Restore", restore | {"vvc": richer}, "vvc")
        _, tx_id = self.world.on_own(group, "Restore", merge=number, **part)
        own.unchanged("Restore", restore)
        own.refused("Lend", {"group": group, "merge": number}, "merge")
        if close:
            self.world.on_main("Close", merge=number, group=group, tx_id=tx_id)
            self.world.main.unchanged("Close", {"merge": number, "group": group, "tx_id": tx_id})

    @rule(group=st.sampled_from(sorted(GROUPS)), steps=st.integers(0, 20))
    def another_aggregator(self, group: str, steps: int) -> None:
        with suppress(Died):
            finish(self.world, group, Life(die_after=steps))

    @invariant()
    def nothing_is_lost(self) -> None:
        self.check_nothing_is_lost()

    def check_nothing_is_lost(self) -> None:
        """VVC left and injected is what was given."""
        self.world.unclosed_merges()
        assert abs(self.world.owned() + self.injected - self.given) <= ACCEPTABLE_ROUNDING

    def teardown(self) -> None:
        """Whatever was left behind can be brought to its end."""
        if not hasattr(self, "world"):
            return
        self.world.on_commit = self.nothing_is_lost
        for group in GROUPS:
            finish(self.world, group)
        for group in GROUPS:
            assert standing_merge(self.world, group) is None
            assert self.world.channel_of(group).vvc(group) == self.world.owned_by(group)


TestMergeProtocol = MergeProtocol.TestCase
TestMergeProtocol.settings = settings(max_examples=examples(20, least=8), stateful_step_count=30, deadline=None)
