"""Calls of the vault's contract by name, and pages."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from gridledger.client.testing import FakeGateway
from gridledger.errors import SettingsError
from services.vault.ledger import VaultLedger, application_of
from tests.support.paper_profile import paper_profile
from tests.support.vault_channel import chaincode

CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {
    "set_cluster": (
        "SetCluster",
        ("M1", 5, "sealed", 1),
        {"mspid": "A", "head": "h"},
        {"cluster": "M1", "t": 5, "profile": "sealed", "spare": 1, "mspid": "A", "head": "h"},
    ),
    "set_base": ("SetBase", ("AA==", "https://b"), {}, {"kem_key": "AA==", "url": "https://b"}),
    "get_base": ("GetBase", (), {}, {}),
    "join": (
        "Join",
        ("h", "M1", "7", "AA==", "https://h"),
        {},
        {"holder": "h", "cluster": "M1", "id": "7", "kem_key": "AA==", "url": "https://h"},
    ),
    "admit": ("Admit", ("h",), {}, {"holder": "h"}),
    "report_lost": (
        "ReportLost",
        ("h", "why"),
        {"name": "o", "read": "r"},
        {"holder": "h", "reason": "why", "object": "o", "read": "r"},
    ),
    "revoke": ("Revoke", ("why",), {"certificate": "c"}, {"certificate": "c", "reason": "why"}),
    "begin_cycle": (
        "BeginCycle",
        (2, {"M1": "h"}, ["M5"]),
        {},
        {"cycle": 2, "heads": {"M1": "h"}, "without": ["M5"]},
    ),
    "put_object": ("PutObject", ({"object": "o"},), {}, {"object": "o"}),
    "ack_share": ("AckShare", ("o", 1, "r", "l"), {}, {"object": "o", "version": 1, "root": "r", "log_head": "l"}),
    "ack_shares": (
        "AckShares",
        ("o", 1, [("text", "AA==")]),
        {},
        {"object": "o", "version": 1, "said": [{"text": "text", "signature": "AA=="}]},
    ),
    "ack_deleted": ("AckDeleted", ("o", 1, "l"), {}, {"object": "o", "version": 1, "log_head": "l"}),
    "settle": ("Settle", ("o",), {}, {"object": "o"}),
    "repair": ("Repair", ({"object": "o"},), {}, {"object": "o"}),
    "reshare": ("Reshare", ({"object": "o"},), {}, {"object": "o"}),
    "abandon": ("Abandon", ("o", "why"), {}, {"object": "o", "reason": "why"}),
    "request_read": ("RequestRead", ("o", "why", 2), {}, {"object": "o", "purpose": "why", "version": 2}),
    "report_bad": ("ReportBad", ("text", "AA=="), {}, {"answer": "text", "signature": "AA=="}),
    "challenge": (
        "Challenge",
        ("o", "h", 3),
        {"nonce": "n", "commitment": "c", "path": ("p",)},
        {"object": "o", "holder": "h", "number": 3, "nonce": "n", "commitment": "c", "path": ["p"]},
    ),
    "audit_share": ("AuditShare", ("o", 1, 3, "a"), {}, {"object": "o", "version": 1, "number": 3, "answer": "a"}),
    "close_audit": (
        "CloseAudit",
        ("o", "h", 3),
        {"finding": "holder_away"},
        {"object": "o", "holder": "h", "number": 3, "finding": "holder_away"},
    ),
    "get_object": ("GetObject", ("o", 2), {}, {"object": "o", "version": 2}),
    "list_objects": ("ListObjects", (), {"cluster": "M1", "limit": 5}, {"cluster": "M1", "limit": 5}),
    "get_holder": ("GetHolder", ("h",), {}, {"holder": "h"}),
    "list_holders": ("ListHolders", (), {"bookmark": "b"}, {"bookmark": "b"}),
    "list_joins": ("ListJoins", (), {"limit": 5}, {"limit": 5}),
    "get_cluster": ("GetCluster", ("M1",), {}, {"cluster": "M1"}),
    "list_clusters": ("ListClusters", (), {}, {}),
    "get_cycle": ("GetCycle", (3,), {}, {"cycle": 3}),
    "get_acks": ("GetAcks", ("o",), {}, {"object": "o"}),
    "get_read": ("GetRead", ("o", "r"), {}, {"object": "o", "read": "r"}),
    "get_reads": ("GetReads", ("o",), {"limit": 5}, {"object": "o", "limit": 5}),
    "get_repair": ("GetRepair", ("o", "h", 2), {}, {"object": "o", "holder": "h", "version": 2}),
    "get_audit": ("GetAudit", ("o", "h", 3), {}, {"object": "o", "holder": "h", "number": 3}),
    "list_audits": ("ListAudits", ("o", "h"), {"version": 2}, {"object": "o", "holder": "h", "version": 2}),
    "get_health": ("GetHealth", ("o",), {}, {"object": "o"}),
}
PAGES = {
    "objects": ("ListObjects", ("M1",)),
    "holders": ("ListHolders", ("M1",)),
    "joins": ("ListJoins", ()),
    "clusters": ("ListClusters", ()),
    "reads": ("GetReads", ("o",)),
    "audits": ("ListAudits", ("o", "h")),
}


def answering(name: str, function: Any) -> VaultLedger:
    network = FakeGateway({"vault": {name: function}}).get_network("channel")
    return VaultLedger(network.get_contract("vault"), network)


@pytest.mark.parametrize("method", CALLS)
async def test_each_method_calls_its_function_with_one_object(method: str) -> None:
    function, arguments, named, expected = CALLS[method]
    ledger = answering(function, lambda ctx, argument: {"called": function, "with": argument})
    assert await getattr(ledger, method)(*arguments, **named) == {"called": function, "with": expected}


def test_every_function_of_the_contract_has_a_method() -> None:
    assert {function for function, *_ in CALLS.values()} == set(chaincode().functions)
    methods = {name for name, value in vars(VaultLedger).items() if inspect.iscoroutinefunction(value)}
    assert {name for name in methods if not name.startswith("_")} == {*CALLS}


@pytest.mark.parametrize("method", PAGES)
async def test_all_pages_are_read(method: str) -> None:
    function, arguments = PAGES[method]
    pages = {None: (["a", "b"], "c"), "c": (["c"], "d"), "d": ([], None)}

    def page(ctx: Any, argument: Any) -> Any:
        items, bookmark = pages[argument.get("bookmark")]
        return {"items": [{"item": item} for item in items], "bookmark": bookmark}

    found = getattr(answering(function, page), method)(*arguments)
    assert [each["item"] async for each in found] == ["a", "b", "c"]


async def test_a_conflict_is_tried_again() -> None:
    gateway = FakeGateway({"vault": {"AckShare": lambda ctx, argument: {"done": True}}})
    gateway.conflict()
    ledger = VaultLedger(gateway.get_network("channel").get_contract("vault"))
    assert await ledger.ack_share("o", 1, "r", "l") == {"done": True}
    with pytest.raises(SettingsError, match="for a contract alone"):
        await ledger.chain_info()


def test_a_network_without_a_vault_is_told(tmp_path: Any) -> None:
    application = {"channel": "vault", "chaincode": "vault"}
    assert application_of(paper_profile(tmp_path, {"vault": application})) == ("vault", "vault")
    with pytest.raises(SettingsError, match=r"wants applications\.vault"):
        application_of(paper_profile(tmp_path, {}))
    with pytest.raises(SettingsError, match="lacks 'chaincode'"):
        application_of(paper_profile(tmp_path, {"vault": {"channel": "vault"}}))
