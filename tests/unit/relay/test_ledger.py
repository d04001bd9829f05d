"""Calls of the contract by name."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.client import CommitError
from gridledger.client.testing import FakeGateway
from gridledger.errors import SettingsError
from services.relay.ledger import RelayLedger, application_of
from tests.support.paper_profile import paper_profile

CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {
    "register_relay": ("RegisterRelay", ({"relay": "R"},), {}, {"relay": "R"}),
    "update_relay": ("UpdateRelay", ({"relay": "R"},), {}, {"relay": "R"}),
    "record_capture": (
        "RecordCapture",
        ("R", "text", {"protocol": "text", "sha256": "00"}),
        {"minute": 7},
        {"relay": "R", "text": "text", "source": {"protocol": "text", "sha256": "00"}, "minute": 7},
    ),
    "attest_capture": (
        "AttestCapture",
        ("R", 7, "00", "text"),
        {},
        {"relay": "R", "minute": 7, "sha256": "00", "text": "text"},
    ),
    "conclude": ("Conclude", ("R", 7), {}, {"relay": "R", "minute": 7}),
    "report_silence": ("ReportSilence", ("R", 7, "why"), {}, {"relay": "R", "minute": 7, "reason": "why"}),
    "end_silence": ("EndSilence", ("R", 7), {}, {"relay": "R", "minute": 7}),
    "close_hour": ("CloseHour", ("R", 7), {}, {"relay": "R", "hour": 7}),
    "record_fault": ("RecordFault", ({"relay": "R"},), {}, {"relay": "R"}),
    "get_relay": ("GetRelay", ("R",), {}, {"relay": "R"}),
    "list_relays": ("ListRelays", (), {"limit": 5}, {"limit": 5}),
    "get_capture": ("GetCapture", ("R", 7), {}, {"relay": "R", "minute": 7}),
    "list_captures": ("ListCaptures", ("R", 7, 9), {"texts": True}, {"relay": "R", "from": 7, "to": 9, "texts": True}),
    "get_gaps": ("GetGaps", ("R", 7, 9), {"bookmark": "b"}, {"relay": "R", "from": 7, "to": 9, "bookmark": "b"}),
    "get_statistics": ("GetStatistics", ("R", 1, 2), {}, {"relay": "R", "from_hour": 1, "to_hour": 2}),
    "get_disputes": ("GetDisputes", ("R",), {"limit": 3}, {"relay": "R", "limit": 3}),
    "get_faults": ("GetFaults", ("R",), {}, {"relay": "R"}),
}


def echoing(name: str) -> RelayLedger:
    def function(ctx: Any, argument: Any) -> Any:
        return {"called": name, "with": argument}

    gateway = FakeGateway({"relay": {name: function}})
    network = gateway.get_network("channel")
    return RelayLedger(network.get_contract("relay"), network)


@pytest.mark.parametrize("method", CALLS)
async def test_each_method_calls_its_function_with_one_object(method: str) -> None:
    function, arguments, named, expected = CALLS[method]
    answer = await getattr(echoing(function), method)(*arguments, **named)
    assert answer == {"called": function, "with": expected}


async def test_a_recording_that_lost_a_race_is_not_repeated() -> None:
    gateway = FakeGateway({"relay": {"RecordCapture": lambda ctx, argument: {}}})
    gateway.conflict()
    ledger = RelayLedger(gateway.get_network("channel").get_contract("relay"))
    with pytest.raises(CommitError, match="MVCC_READ_CONFLICT"):
        await ledger.record_capture("R", "text", {"protocol": "text", "sha256": "00"})


def test_a_network_without_relay_monitoring_is_told(tmp_path: Any) -> None:
    application = {"channel": "substation", "chaincode": "relay"}
    assert application_of(paper_profile(tmp_path, {"relay": application})) == ("substation", "relay")
    with pytest.raises(SettingsError, match=r"wants applications\.relay"):
        application_of(paper_profile(tmp_path, {}))
    with pytest.raises(SettingsError, match="lacks 'chaincode'"):
        application_of(paper_profile(tmp_path, {"relay": {"channel": "substation"}}))
