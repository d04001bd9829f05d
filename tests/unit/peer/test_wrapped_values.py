"""A value that was taken in is written and read through all that is wrapped around it later, however deep it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.errors import MalformedJSON
from gridledger.jsontext import MAX_VALUE_DEPTH
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import ChaincodeEvent
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.proposal import EndorseRequest, Proposal
from gridledger.protocol.result import EndorsedResult, Event, Response, Result
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.world_state import HistoryEntry
from services.orderer.raft.interface import RaftSettings
from services.peer.channel import Channel
from services.peer.committer.messages import MAX_REPORT_BYTES, BlockCommitted, read_report
from services.peer.queries import block_json, history_json, transaction_json
from services.rest import server_sent_events
from tests.support.examples import examples
from tests.support.paper import PaperNetwork, PaperPeer, signed_transaction

levels = st.lists(st.booleans(), min_size=MAX_VALUE_DEPTH - 3, max_size=MAX_VALUE_DEPTH + 6)
leaves = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | st.text()


def nested(kinds: list[bool], leaf: Any) -> Any:
    value = leaf
    for is_object in kinds:
        value = {"a": value, "": None} if is_object else [value, None]
    return value


class House:
    """A peer whose endorsers sign whatever they are given."""

    def __init__(self, folder: Path) -> None:
        self.paper = PaperNetwork()
        self.peer = PaperPeer(folder, self.paper)

    def transaction(self, *, args: Any = (), writes: Any = None, payload: Any = None, event: Any = None) -> Transaction:
        proposal = self.paper.proposal("put", *args)
        return self.endorsed(proposal, writes={"k": writes} if writes else {}, payload=payload, event=event)

    def endorsed(self, proposal: Proposal, *, writes: Any, payload: Any, event: Any) -> Transaction:
        result = self.paper.result(
            proposal, writes, response=Response(200, "", payload), event=Event("Put", event) if event else None
        )
        return self.signed(proposal, result)

    def signed(self, proposal: Proposal, result: Result) -> Transaction:
        """Endorsed by two peers, whether it can be read or not."""
        endorsements = [self.paper.endorsement(peer, result) for peer in ("peer1", "peer2")]
        return signed_transaction(proposal, result, endorsements, self.paper.client)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("ledger"))


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=levels, leaf=leaves)
def test_an_accepted_value_passes_through_every_wrap(house: House, kinds: list[bool], leaf: Any) -> None:
    value = nested(kinds, leaf)
    try:
        made = house.transaction(args=[value], writes=value, payload=value, event=value)
        Result.parse(made.result.text)
        request = EndorseRequest(house.paper.signed_proposal("put", value, transient={"a": value}), ("Org1MSP",))
        EndorseRequest.from_bytes(request.to_bytes())
    except MalformedJSON:
        assert len(kinds) > MAX_VALUE_DEPTH
        return
    assert len(kinds) <= MAX_VALUE_DEPTH
    assert (
        EndorsedResult.from_dict(
            jsontext.loads(
                jsontext.dumps(EndorsedResult(made.result.text, made.endorsements, ("peer1", "peer2")).to_dict())
            )
        ).result_text
        == made.result.text
    )
    assert Transaction.parse(made.to_bytes()).result.event == Event("Put", value)
    committed = house.peer.commit(made)
    assert committed.codes == (Code.VALID,)
    ledger = house.peer.ledger
    assert Block.from_bytes(ledger.block_bytes(committed.number)).envelopes == (made.to_bytes(),)
    report = read_report(BlockCommitted(committed).to_bytes())
    assert isinstance(report, BlockCommitted)
    (event,) = report.block.events
    assert event.payload == value
    line = jsontext.dumps(event.to_dict())
    assert ChaincodeEvent.from_dict(event.channel, jsontext.loads(line)) == event
    assert jsontext.loads(server_sent_events._message(event).partition(b"data: ")[2]) == event.to_dict()
    answer = jsontext.loads(block_json(ledger, committed.number))["transactions"][0]
    assert answer["proposal"]["args"] == [value]
    assert answer["result"]["writes"] == [["k", value]]
    history = jsontext.loads(history_json(Channel(ledger), "kv", "k", 1))["items"][0]
    assert HistoryEntry.from_dict(history).value == value
    proved = ProvedTransaction.from_dict(jsontext.loads(transaction_json(ledger, made.tx_id)))
    assert proved.envelope == made.to_bytes()
    assert jsontext.loads(jsontext.dumps(made.result.response._asdict()))["payload"] == value


@pytest.mark.parametrize("place", ["args", "writes", "payload", "event"])
def test_a_deeper_value_is_refused_where_it_enters(house: House, place: str) -> None:
    deep = nested([True] * (MAX_VALUE_DEPTH + 2), None)
    with pytest.raises(MalformedJSON, match="nested deeper"):
        Result.parse(house.transaction(**{place: [deep] if place == "args" else deep}).result.text)


@pytest.mark.parametrize("depth", [MAX_VALUE_DEPTH - 1, 62, 63, 64, 70, 200, 240])
def test_no_depth_of_an_event_ends_the_committer(house: House, depth: int) -> None:
    deep = nested([False] * depth, None)
    committed = house.peer.commit(house.transaction(event=deep))
    read_report(BlockCommitted(committed).to_bytes())
    assert (committed.codes == (Code.VALID,)) == (depth < MAX_VALUE_DEPTH + 2)


def test_a_report_has_room_for_all_that_a_block_can_hold() -> None:
    assert 4 * RaftSettings().max_entry_bytes <= MAX_REPORT_BYTES


def test_the_report_of_a_block_of_growing_numbers_is_read(house: House) -> None:
    text = "[" + ",".join(["9e15"] * 100_000) + "]"
    proposal = house.paper.proposal()
    result = Result.parse(house.paper.result(proposal, event=Event("Put", "HERE")).text.replace('"HERE"', text))
    committed = house.peer.commit(house.signed(proposal, result))
    frame = BlockCommitted(committed).to_bytes()
    assert 3 * len(text) < len(frame) < 4 * len(text)
    report = read_report(frame)
    assert isinstance(report, BlockCommitted)
    assert report.block.events[0].payload == [9e15] * 100_000
