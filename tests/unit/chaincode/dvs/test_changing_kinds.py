"""Merges while generators reach and leave their limits: new records at any step, on each channel at its own time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.dvs_grid import GENERATORS, GROUPS, record_where
from tests.support.dvs_merge import RECORDS, finish, standing_merge
from tests.support.examples import examples
from tests.unit.chaincode.dvs.test_recovery import MergeProtocol
from tests.unit.chaincode.dvs.test_release_recovery import MergesWithRelease, by_bus, held_by

#: The buses that hold their voltage: as planned, none, others as well, others instead.
KINDS = [GENERATORS, (), (*GENERATORS, 3, 6, 9), (4, 5, 10)]


class MergesOfChangingKinds(MergeProtocol):
    """The protocol of merges under records that make load buses generators and generators load buses."""

    def __init__(self) -> None:
        super().__init__()
        self.generators: dict[str, tuple[int, ...]] = {}

    @rule(data=st.data(), generators=st.sampled_from(KINDS))
    def replan(self, data: st.DataObject, generators: tuple[int, ...]) -> None:
        self.plan(data.draw(st.sampled_from(sorted(self.world.layout.channels))), generators)

    def plan(self, channel: str, generators: tuple[int, ...]) -> None:
        """New records of all ids that a channel keeps."""
        self.generators[channel] = generators
        for name in RECORDS:
            if self.world.channels[channel].stored(f"group/{name}") is not None:
                record = record_where(generators, name, **self.RULES)
                self.world.channels[channel].call("InitialGrouping", record)

    def give(self, group: str, amount: float) -> None:
        """A new list for a group that owns its list."""
        self.given -= sum(self.world.owned_by(group).values())
        self.given += sum(self.provide(group, amount).values())

    def provide(self, group: str, amount: float) -> dict[str, float]:
        """UpdateResources for the load buses that the group's record names now; the list."""
        holding = self.generators.get(self.world.layout.channel_of(group), GENERATORS)
        vvc = {str(bus): amount for bus in GROUPS[group] if bus != 1 and bus not in holding}
        self.world.channel_of(group).call("UpdateResources", {"group": group, "vvc": vvc})
        return vvc

    def teardown(self) -> None:
        """Whatever was left behind can be brought to its end, and is all in use where every bus is a load bus."""
        if not hasattr(self, "world"):
            return
        self.world.on_commit = self.nothing_is_lost
        for group in GROUPS:
            finish(self.world, group)
        self.world.on_commit = lambda: None
        for channel in self.world.layout.channels:
            self.plan(channel, ())
        for group in GROUPS:
            assert standing_merge(self.world, group) is None
            in_use, owned = self.world.channel_of(group).vvc(group), self.world.owned_by(group)
            assert in_use == dict.fromkeys(in_use, 0.0) | owned


class ReleaseOfChangingKinds(MergesOfChangingKinds, MergesWithRelease):
    """The same where every record has ``release``: by bus, free and standing together stay the same."""

    def give(self, group: str, amount: float) -> None:
        """A new list; what stands is kept, what was free at other buses is not."""
        if not hasattr(self, "sums"):
            self.sums: dict[str, float] = {}
        vvc, stands = self.provide(group, amount), by_bus(held_by(self.world, group))
        self.sums |= {name: vvc.get(name, 0.0) + stands.get(name, 0.0) for name in map(str, GROUPS[group])}

    def check_nothing_is_lost(self) -> None:
        self.world.unclosed_merges()
        for group in GROUPS:
            owned: dict[str, Any] = self.world.owned_by(group)
            stands = by_bus(held_by(self.world, group))
            for name in map(str, GROUPS[group]):
                found = owned.get(name, 0.0) + stands.get(name, 0.0)
                assert abs(found - self.sums.get(name, 0.0)) <= 1e-12, name


TestMergesOfChangingKinds = MergesOfChangingKinds.TestCase
TestMergesOfChangingKinds.settings = settings(max_examples=examples(15, least=6), stateful_step_count=25, deadline=None)
TestReleaseOfChangingKinds = pytest.mark.deep(ReleaseOfChangingKinds.TestCase)
TestReleaseOfChangingKinds.settings = settings(
    max_examples=examples(20, least=8), stateful_step_count=30, deadline=None
)
