"""What a block's transactions say, read into rows: from the real contracts, and from anything else."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.contract import ClientIdentity
from gridledger.errors import MalformedMessage
from gridledger.evidence.events import registration_text
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.proposal import Proposal
from services.case.block_rows import MAX_TEXT, rows_of
from services.case.rows import ALL_KINDS, Row
from tests.support.anchors_channel import FORGED, GENESIS, HONEST, AnchorsChannel, mspid, url
from tests.support.anchors_channel import agent as anchor_agent
from tests.support.case_blocks import PLACES, CaseChannel, made_block
from tests.support.contract_channel import START_US, S, certificate
from tests.support.events_channel import AGENT, LIGHTNODE, Device, admitting
from tests.support.paper import PaperNetwork
from tests.support.registry_channel import AUTHORITY, KYIV, prove, registering, secret
from tests.support.registry_channel import certificate_sha256 as device_certificate

OPERATOR = ClientIdentity(
    "x509::/CN=ivan::/CN=ca", "KyivMSP", "client", {"forensics.role": "operator"}, certificate("ivan", 7)
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
MARKED = st.lists(st.fixed_dictionaries({"seq": st.integers(), "late": JSON}))


def opening(session: str, terminal: str, operator: str = "ivan") -> dict[str, Any]:
    return {"session": session, "operator": operator, "terminal": terminal, "section": "plant", "reason": "shift"}


def section() -> CaseChannel:
    channel = CaseChannel("section-plant", "events")
    channel.tell("AdmitDevice", admitting(), AGENT)
    channel.block(START_US)
    return channel


def test_an_event_has_its_device_its_time_and_what_it_said() -> None:
    channel, device = section(), Device(channel="section-plant")
    channel.tell("LogEvent", device.argument("alarm", START_US + S, {"text": "breaker 7"}), LIGHTNODE)
    (row,) = channel.block(START_US + 2 * S)
    assert (row.channel, row.block, row.position, row.item, row.code) == ("section-plant", 1, 0, 0, 0)
    assert (row.kind, row.device, row.seq) == ("alarm", "pmu-1", 1)
    assert (row.said_us, row.at_us, row.block_us) == (START_US + S, START_US, START_US + 2 * S)
    assert row.details == {"body": {"text": "breaker 7"}}
    assert row.marks == {}
    assert row.certificate is not None
    assert len(row.tx_id) == 64


def test_each_event_of_one_transaction_is_a_row_with_its_own_marks() -> None:
    channel, device = section(), Device(channel="section-plant")
    events = [device.tell("alarm", START_US), device.tell("gps", START_US - 700 * S), device.tell("alarm", START_US)]
    channel.tell("LogEvents", {"device": "pmu-1", "events": events}, LIGHTNODE)
    rows = channel.block(START_US + S)
    assert [(row.item, row.seq, row.kind) for row in rows] == [(0, 1, "alarm"), (1, 2, "gps"), (2, 3, "alarm")]
    assert [row.marks for row in rows] == [{}, {"late": 700, "back": 700}, {}]
    assert len({row.tx_id for row in rows}) == 1


def test_each_event_of_several_devices_in_one_transaction_is_a_row_with_its_own_marks() -> None:
    channel = section()
    channel.tell("AdmitDevice", admitting("relay-7"), AGENT)
    channel.block(START_US)
    one, other = Device(channel="section-plant"), Device("relay-7", channel="section-plant")
    late = [other.tell("gps", START_US - 700 * S), other.tell("alarm", START_US)]
    devices = [
        {"device": "pmu-1", "events": [one.tell("alarm", START_US)]},
        {"device": "relay-7", "events": late},
    ]
    channel.tell("LogDevices", {"devices": devices}, LIGHTNODE)
    rows = channel.block(START_US + S)
    found = [(row.item, row.device, row.seq, row.kind, row.marks) for row in rows]
    assert found == [
        (0, "pmu-1", 1, "alarm", {}),
        (1, "relay-7", 1, "gps", {"late": 700}),
        (2, "relay-7", 2, "alarm", {}),
    ]


def test_a_batch_among_events_of_one_transaction_is_a_row_as_one_alone() -> None:
    channel, device = section(), Device(channel="section-plant")
    batch = device.tell_batch(START_US - 60 * S, START_US)
    alone = channel_of_one_batch(batch)
    events = [{name: value for name, value in batch.items() if name != "device"}, device.tell("alarm", START_US)]
    channel.tell("LogEvents", {"device": "pmu-1", "events": events}, LIGHTNODE)
    first, second = channel.block(START_US + S)
    assert (first.kind, first.seq, first.item, second.kind, second.item) == ("batch", 1, 0, "alarm", 1)
    assert (first.said_us, first.details, first.marks) == (alone.said_us, alone.details, alone.marks)


def channel_of_one_batch(batch: dict[str, Any]) -> Row:
    channel = section()
    channel.tell("LogBatch", batch, LIGHTNODE)
    (row,) = channel.block(START_US + S)
    return row


def test_a_block_more_than_two_seconds_from_what_was_told_is_marked_unless_it_is_late() -> None:
    channel, device = section(), Device(channel="section-plant")
    for at_us in (START_US, START_US + S, START_US + S, START_US + 9 * S):
        channel.tell("LogEvent", device.argument("alarm", at_us), LIGHTNODE, time_us=START_US + 9 * S)
    batch = device.tell_batch(START_US - 60 * S, START_US + 2 * S)
    channel.tell("LogBatch", batch, LIGHTNODE)
    rows = channel.block(START_US + 4 * S)
    assert [row.marks.get("clock") for row in rows] == [4, 3, 3, -5, None]
    assert rows[4].kind == "batch"
    assert rows[4].said_us == START_US - 60 * S
    assert rows[4].details["rows"] == 3000


def test_sessions_commands_and_denials_have_operator_terminal_and_session() -> None:
    access = CaseChannel("access", "access")
    access.tell("OpenSession", opening("s-1", "t-1"), OPERATOR)
    access.tell("OpenSession", opening("s-2", "t-2"), OPERATOR, time_us=START_US + S)
    access.tell("Command", {"session": "s-2", "device": "relay-7", "command": "open", "value": 3}, OPERATOR)
    access.tell("CloseSession", {"session": "s-2"}, OPERATOR)
    opened, second, command, closed = access.block(START_US + S)
    assert (opened.kind, opened.operator, opened.terminal, opened.session) == ("session-opened", "ivan", "t-1", "s-1")
    assert opened.details == {"section": "plant", "reason": "shift"}
    assert opened.marks == {}
    assert second.marks == {"suspicious": 2}
    assert [each["session"] for each in second.details["suspicious"]] == ["s-1", "s-1"]
    assert (command.kind, command.device, command.session) == ("command-issued", "relay-7", "s-2")
    assert (command.operator, command.terminal) == ("ivan", "t-2")  # of the answer: the argument has neither
    assert command.marks == {"suspicious": 1}
    assert command.details == {"command": "open", "value": 3}
    assert (closed.kind, closed.session) == ("session-closed", "s-2")
    assert (closed.operator, closed.terminal) == ("ivan", "t-2")  # of the event: the answer has neither
    assert opened.certificate == sha256(b64decode(certificate("ivan", 7))).hexdigest()


def test_cosigned_heads_are_rows_as_attestations_are() -> None:
    channel, signing = CaseChannel("general", "anchors"), AnchorsChannel(anchoring="general")
    for number in (1, 2):
        said = {"channel": "shard1", "organisations": [mspid(1), mspid(2)], "genesis": GENESIS}
        channel.tell("SetMembers", said, anchor_agent(number))
        channel.tell("SetAgent", {"url": url(number)}, anchor_agent(number))
    assert "agent-set" in {row.kind for row in channel.block(START_US)}
    forked = signing.round(30, {1: HONEST, 2: FORGED}, base=0)
    channel.tell("Cosign", {"rounds": [{**forked, "channel": "shard2"}, forked]}, anchor_agent(1))
    rows = channel.block(START_US + S)
    told = [(row.kind, row.item, row.details["channel"], row.details["organisations"]) for row in rows]
    assert told == [("attested", 0, "shard1", [mspid(1)]), ("attested", 1, "shard1", [mspid(2)])]
    assert {row.details["root"] for row in rows} == {HONEST.root(30), FORGED.root(30)}
    assert all(row.details["anchored"] is False and row.details["size"] == 30 for row in rows)


def test_registrations_have_no_proofs_in_their_text() -> None:
    registry = CaseChannel("devices", "registry")
    registry.tell("SetAuthority", {}, AUTHORITY)
    device = registering()
    told = registration_text("devices", "pmu-1", device_certificate(), device["proof_key"])
    registry.tell("RegisterDevice", device | {"proof": prove(secret("pmu-1"), "pmu-1", told)}, KYIV)
    founded, registered = registry.block()
    assert (founded.kind, founded.details) == ("authority-set", {})
    assert (registered.kind, registered.device) == ("device-registered", "pmu-1")
    assert set(registered.details) == {"type", "section", "site", "vendor", "model", "proof_key"}


def test_what_is_not_valid_is_a_row_with_its_code_and_without_what_it_answered() -> None:
    access = CaseChannel("access", "access")
    access.tell("OpenSession", opening("s-1", "t-1"), OPERATOR)
    conflict = TxValidationCode.MVCC_READ_CONFLICT
    access.tell("OpenSession", opening("s-2", "t-2"), OPERATOR, code=conflict)
    _, row = access.block()
    assert (row.code, row.is_valid, row.kind, row.session) == (11, False, "session-opened", "s-2")
    assert row.marks == {}


def test_other_contracts_and_functions_are_told_by_name() -> None:
    access = CaseChannel("elsewhere", "access")
    access.tell("OpenSession", opening("s-1", "t-1"), OPERATOR)
    (row,) = access.block()
    assert row.kind == "other"
    assert row.details == {"chaincode": "access", "function": "OpenSession"}
    assert row.session is None


def test_a_channels_configuration_is_a_row_and_block_0_has_no_time_told() -> None:
    paper = PaperNetwork()
    (first,) = rows_of(paper.genesis, [TxValidationCode.VALID], PLACES)
    assert (first.kind, first.said_us, first.details) == ("channel-config", None, {"sequence": 0})
    update = ConfigUpdate.build(paper.config, time_us=START_US)
    block = made_block("general", None, [(update.to_bytes(), TxValidationCode.VALID)], START_US)
    (row,) = rows_of(block, [TxValidationCode.VALID], PLACES)
    assert (row.said_us, row.tx_id) == (START_US, update.tx_id)


@pytest.mark.parametrize("envelope", [b"", b"{", b"[]", b'{"config_update":1}', b'{"proposal":"{}"}', b"\xff" * 9])
def test_bytes_that_are_no_transaction_are_a_row_all_the_same(envelope: bytes) -> None:
    block = made_block("access", None, [(envelope, TxValidationCode.BAD_PAYLOAD)], START_US)
    (row,) = rows_of(block, [TxValidationCode.BAD_PAYLOAD], PLACES)
    assert (row.kind, row.tx_id, row.said_us) == ("unreadable", "", None)
    assert row.details == {"bytes": len(envelope)}


def test_a_text_beyond_the_bound_is_its_length() -> None:
    event = Device(channel="section-plant").argument("alarm", START_US)
    event["body"] = jsontext.dumps({"text": "x" * MAX_TEXT}).decode()
    (row,) = rows_of(_block_with("LogEvent", event), [TxValidationCode.BAD_PAYLOAD], PLACES)
    assert set(row.details) == {"left_out"}
    assert row.device == "pmu-1"


@given(
    st.sampled_from(["LogEvent", "LogEvents", "LogBatch", "LogDevices", "AdmitDevice", "Whatever"]),
    st.dictionaries(
        st.sampled_from(["device", "seq", "kind", "time_us", "to_us", "from_us", "body", "events", "marks", "x"]), JSON
    )
    | st.fixed_dictionaries(
        {"devices": JSON | st.lists(st.dictionaries(st.sampled_from(["device", "events", "marks"]), JSON))}
    )
    | JSON,
    JSON
    | st.fixed_dictionaries({"marks": JSON | st.lists(st.fixed_dictionaries({"seq": st.integers(), "late": JSON}))}),
)
def test_whatever_stands_in_a_transaction_gives_rows_that_are_read_again(
    function: str, argument: Any, payload: Any
) -> None:
    result = jsontext.dumps_again({"response": {"payload": jsontext.loads(jsontext.dumps_again(_plain(payload)))}})
    block = _block_with(function, _plain(argument), result.decode())
    rows = rows_of(block, [TxValidationCode.VALID], PLACES)
    assert 1 <= len(rows) <= 257
    for row in rows:
        assert row.kind in ALL_KINDS
        assert row.said_us is None or 0 <= row.said_us < 10**16
        assert Row.from_dict(jsontext.loads(jsontext.dumps(row.to_dict()))) == row


def test_the_json_form_of_anything_else_is_refused() -> None:
    (row,) = rows_of(_block_with("LogEvent", {"device": "a"}), [TxValidationCode.VALID], PLACES)
    good = row.to_dict()
    for name in good:
        wrongs: list[Any] = [[], -1, 1.5]
        for wrong in wrongs:
            with pytest.raises(MalformedMessage):
                Row.from_dict({**good, name: wrong})
    with pytest.raises(MalformedMessage):
        Row.from_dict({**good, "more": 1})
    assert Row.from_dict(replace(row, marks={"late": 7}).to_dict()).marks == {"late": 7}


def _plain(value: Any) -> Any:
    """What a client can send: whole numbers beyond 64 bits are floats on the wire."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**63 else value


def _block_with(function: str, argument: Any, result: str = "{}") -> Any:
    proposal = Proposal.build(
        channel="section-plant",
        chaincode="events",
        sequence=1,
        function=function,
        args=(argument,),
        creator="AAAA",
        nonce="0" * 32,
        time_us=START_US,
    )
    envelope = jsontext.dumps({"proposal": proposal.text, "result": result, "endorsements": "[]", "signature": ""})
    return made_block("section-plant", None, [(envelope, TxValidationCode.VALID)], START_US)
