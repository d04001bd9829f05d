"""What is free and what stands through any interleaving of alarms, calm frames and merges: nothing is lost or made."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from services.feeder.merging import Merge
from tests.support.dvs_channel import full_list
from tests.support.dvs_grid import GROUPS, frame, loads
from tests.support.dvs_merge import standing_merge
from tests.support.examples import examples
from tests.unit.chaincode.dvs.test_recovery import MergeProtocol

CONSERVED = 1e-12
RELEASE = {"v_max": 1.05, "margin": 0.02, "hold_s": 0.001, "dv_max": 0.02}
STEP_US = 400


class MergesWithRelease(MergeProtocol):
    """The protocol of merges where every record has ``release``: by bus, free and standing together stay the same."""

    RULES: ClassVar[dict[str, Any]] = {"release": RELEASE}

    def give(self, group: str, amount: float) -> None:
        """A new list; what stands is kept."""
        self.world.channel_of(group).call("UpdateResources", {"group": group, "vvc": full_list(loads(group), amount)})
        stands = by_bus(held_by(self.world, group))
        if not hasattr(self, "sums"):
            self.sums: dict[str, float] = {}
        self.sums |= {str(bus): amount + stands.get(str(bus), 0.0) for bus in loads(group)}

    def sag(self, group: str, bus: int) -> str:
        """The outcome of a frame in which a bus sags, under an id that is measured now."""
        self.time += STEP_US
        measured = frame(group, self.time, {bus: 0.95})
        return str(self.world.channel_of(group).call("ComputeVSI", measured)["outcome"])

    @rule(group=st.sampled_from(sorted(GROUPS)), frames=st.integers(1, 6))
    def calm(self, group: str, frames: int) -> None:
        """Frames of a group, or of the merge that it is in, in which the load has gone and what stands shows."""
        merge = standing_merge(self.world, group)
        name = merge.group if isinstance(merge, Merge) and merge.status == "open" else group
        for _ in range(frames):
            self.time += STEP_US
            channel = self.world.channel_of(name)
            stands = by_bus(channel.call("GetResources", {"group": name})["standing"])
            measured = frame(name, self.time)
            rows = [row | {"Qd": row["Qd"] - 100.0 * stands.get(str(row["bus"]), 0.0)} for row in measured["buses"]]
            answer = channel.call("ComputeVSI", measured | {"buses": rows})
            assert answer["outcome"] in {"normal", "held", "released", "voltage_ok"}

    @rule(group=st.sampled_from(sorted(GROUPS)), data=st.data())
    def borrow(self, group: str, data: st.DataObject) -> None:
        """A merge that a group is in, or begins, opens; a load bus of it sags."""
        merge = self.world.on_main("GlobalController", group=group)
        for name, status in merge["components"].items():
            if merge["status"] == "gathering" and status == "asked":
                lent, tx_id = self.world.on_own(name, "Lend", merge=merge["merge"])
                merge = self.world.adopt(name, merge["merge"], lent, tx_id)
        if merge["status"] == "open":
            self.sag(merge["group"], data.draw(st.sampled_from(loads(merge["group"]))))

    def check_nothing_is_lost(self) -> None:
        self.world.unclosed_merges()
        found: dict[str, float] = {}
        for group in GROUPS:
            stands = by_bus(held_by(self.world, group))
            for bus, amount in self.world.owned_by(group).items():
                found[bus] = amount + stands.get(bus, 0.0)
        for bus, expected in self.sums.items():
            assert abs(found[bus] - expected) <= CONSERVED, bus


def held_by(world: Any, group: str) -> list[dict[str, Any]]:
    """What stands of a group, wherever it is kept: with the group, under way, or with a merge."""
    channel = world.channel_of(group)
    stored = channel.stored(f"standing/{group}")
    own: list[dict[str, Any]] = [] if stored is None else stored["entries"]
    lent = (channel.stored(f"vvc/{group}") or {"lent": None})["lent"]
    if lent is None:
        return own
    at_lent = [entry for entry in own if str(entry["bus"]) in lent["vvc"]]
    assert at_lent == [], "what stands is kept in one place at a time"
    return own + _lent_by(world, group, lent)


def _lent_by(world: Any, group: str, lent: Any) -> list[dict[str, Any]]:
    merge = world.main.stored(f"merge/{lent['merge']}")
    component = merge["components"][group]
    if component["status"] == "asked":
        return list(lent["standing"])
    if "part_standing" in component:
        return list(component["part_standing"])
    joined = world.main.stored(f"standing/{merge['group']}")["entries"]
    return [entry for entry in joined if str(entry["bus"]) in component["lent"]["vvc"]]


def by_bus(entries: list[dict[str, Any]]) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for entry in entries:
        amounts[str(entry["bus"])] = amounts.get(str(entry["bus"]), 0.0) + entry["q_pu"]
    return amounts


TestMergesWithRelease = MergesWithRelease.TestCase
TestMergesWithRelease.settings = settings(max_examples=examples(20, least=8), stateful_step_count=30, deadline=None)
