"""What blocks tell of the grid: of the contracts' own transactions, and of whatever else a chaincode writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.events import FullBlockEvent
from services.console.grid.members import MAX_BUSES
from services.console.grid.reading import read_block
from services.console.grid.told import (
    AcknowledgedTold,
    FrameTold,
    MergeTold,
    RecordTold,
    ResourcesTold,
    ShelvedTold,
    UnreadableTold,
)
from tests.support.dvs_channel import example
from tests.support.grid_blocks import OPERATOR, GridChain, at

FRAME = example("frame-1-s1_before")
RECORD = example("record-1-corrected")
TIME_US = 1_767_225_600_000_000
WRITTEN = {
    "group": "1",
    "time": TIME_US,
    "vsi": [{"bus": 3, "vsi": 0.9}],
    "weak_bus": 3,
    "threshold": 0.8,
    "alarm": False,
    "outcome": "normal",
    "control": None,
}
BUSES = {"buses": [{"bus": 3, "Vm": 1.0}]}


def planned() -> GridChain:
    chain = GridChain()
    chain.call("dvs", "InitialGrouping", RECORD)
    return chain


def test_a_frame_is_told_with_voltages_indices_and_the_injection() -> None:
    chain = planned()
    chain.call("dvs", "UpdateResources", {"group": "1", "vvc": {"3": 1.5}})
    tx_id = chain.call("dvs", "ComputeVSI", at(FRAME, TIME_US))
    answer = chain.payload
    assert answer["outcome"] == "injected"
    record, resources, frame = read_block(chain.block()).told
    assert isinstance(record, RecordTold)
    assert (record.group, record.threshold) == ("1", RECORD["threshold"])
    assert record.loads == {entry["bus"] for entry in RECORD["Zth"]}
    assert isinstance(resources, ResourcesTold)
    assert (resources.group, resources.vvc[3], resources.afresh) == ("1", 1.5, True)
    assert isinstance(frame, FrameTold)
    assert (frame.place.tx_id, frame.place.block, frame.place.index) == (tx_id, 0, 2)
    assert frame.place.proposed_us == chain.now_us
    assert (frame.group, frame.time_us, frame.alarm, frame.outcome) == ("1", TIME_US, True, "injected")
    assert frame.vm == {row["bus"]: row["Vm"] for row in FRAME["buses"]}
    assert frame.vsi == {row["bus"]: row["vsi"] for row in answer["vsi"]}
    assert (frame.weak_bus, frame.threshold) == (answer["weak_bus"], answer["threshold"])
    assert frame.margin == frame.vsi[answer["weak_bus"]] - answer["threshold"]
    assert frame.action is not None
    assert (frame.action.source_bus, frame.action.q_mvar) == (
        answer["control"]["source_bus"],
        answer["control"]["q_mvar"],
    )
    assert frame.action.vvc_left == {int(bus): left for bus, left in answer["control"]["vvc_left"].items()}


def test_what_people_do_about_alarms_is_told() -> None:
    chain = GridChain()
    alarm = {"group": "1", "kind": "vsi"}
    chain.call("alarms", "Acknowledge", {**alarm, "raised_us": TIME_US, "note": "seen"}, OPERATOR)
    chain.call("alarms", "Shelve", {**alarm, "duration_s": 60, "reason": "test"}, OPERATOR)
    chain.call("alarms", "Unshelve", alarm, OPERATOR)
    acknowledged, shelved, ended = read_block(chain.block()).told
    assert isinstance(acknowledged, AcknowledgedTold)
    assert (acknowledged.group, acknowledged.kind, acknowledged.raised_us) == ("1", "vsi", TIME_US)
    assert (acknowledged.by, acknowledged.mspid, acknowledged.note) == (OPERATOR.id, "Org1MSP", "seen")
    assert isinstance(shelved, ShelvedTold)
    assert (shelved.until_us, shelved.reason) == (chain.now_us + 60_000_000, "test")
    assert isinstance(ended, ShelvedTold)
    assert ended.until_us is None


@pytest.mark.parametrize("function", ["GlobalController", "Adopt", "Split", "Close"])
def test_each_step_of_a_merge_is_told(function: str) -> None:
    chain = GridChain("mainchain")
    answer = {"merge": 2, "group": "1_2", "status": "open", "components": {"1": "in", "2": "in"}}
    chain.write("dvs", function, [{"group": "1"}], answer)
    chain.write("dvs", function, [{"group": "1"}], {**answer, "merge": None, "status": "no_group", "components": {}})
    (told,) = read_block(chain.block()).told
    assert isinstance(told, MergeTold)
    assert (told.number, told.group, told.status, dict(told.components)) == (2, "1_2", "open", answer["components"])


def test_other_chaincodes_and_functions_tell_nothing() -> None:
    chain = planned()
    chain.write("kv", "ComputeVSI", [BUSES], WRITTEN)
    chain.write("dvs", "GetVSI", [BUSES], WRITTEN)
    chain.raw(b"\x00")
    chain.raw(b"{}")
    chain.raw(b'{"config":"x"}')
    assert len(read_block(chain.block()).told) == 1
    other = GridChain()
    other.write("stability", "ComputeVSI", [BUSES], WRITTEN)
    (frame,) = read_block(other.block(), dvs="stability").told
    assert isinstance(frame, FrameTold)


def test_frames_that_do_not_count_are_counted() -> None:
    chain = GridChain()
    proposal = chain.proposal("dvs", "ComputeVSI", [FRAME])
    chain.write("dvs", "ComputeVSI", [BUSES], WRITTEN)
    event = chain.block()
    envelope = event.block.envelopes[0]
    chain.raw(envelope, TxValidationCode.MVCC_READ_CONFLICT)
    block = read_block(chain.block())
    assert (block.told, block.invalid) == ((), 1)
    assert proposal.channel == block.channel


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"vsi": None}, "vsi is no list"),
        ({"vsi": [{"bus": 3, "vsi": 1.0}] * (MAX_BUSES + 1)}, "vsi is no list of at most"),
        ({"vsi": [{"bus": "3", "vsi": 1.0}]}, "bus is no integer"),
        ({"vsi": [{"bus": 3, "vsi": True}]}, "vsi is no number"),
        ({"weak_bus": 4}, "weak_bus has no VSI"),
        ({"group": "<script>"}, "group is no group id"),
        ({"group": "1" * 1000}, "group is no group id"),
        ({"time": -1}, "time is no integer"),
        ({"time": 2**60}, "time is no integer"),
        ({"threshold": "0.8"}, "threshold is no number"),
        ({"outcome": 5}, "outcome is no text"),
        ({"control": {"action": 1}}, "'weak_bus' is missing"),
        ({"suspect": {}}, "suspect names neither"),
    ],
)
def test_what_cannot_be_read_is_told_as_such_and_hinders_nothing(changes: dict[str, Any], why: str) -> None:
    chain = GridChain()
    tx_id = chain.write("dvs", "ComputeVSI", [BUSES], WRITTEN | changes)
    chain.write("dvs", "ComputeVSI", [BUSES], WRITTEN)
    unreadable, frame = read_block(chain.block()).told
    assert isinstance(unreadable, UnreadableTold)
    assert (unreadable.place.tx_id, unreadable.function) == (tx_id, "ComputeVSI")
    assert why in unreadable.why
    assert isinstance(frame, FrameTold)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["bus", "vsi", "Vm", "group", "merge", "by", "id", "status", "7"]), inner, max_size=4
    ),
    max_leaves=8,
)  # fmt: skip


@given(
    function=st.sampled_from(["ComputeVSI", "Split", "Lend", "Restore", "InitialGrouping"]),
    args=st.lists(VALUES, max_size=2),
    changes=st.dictionaries(st.sampled_from([*WRITTEN, "suspect", "vvc", "merge", "status", "components"]), VALUES),
)
def test_whatever_a_chaincode_writes_is_read_or_told_unreadable(
    function: str, args: list[Any], changes: dict[str, Any]
) -> None:
    chain = GridChain()
    chain.write("dvs", function, args, WRITTEN | changes)
    chain.write("alarms", "Shelve", args, changes)
    told = read_block(FullBlockEvent.from_bytes(chain.block().to_bytes())).told
    assert len(told) <= 2
    assert isinstance(told[-1], ShelvedTold | UnreadableTold)
