"""A channel's configuration: read as it was written, and refused where its parts do not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Forwarder
from gridledger.protocol.limits import BatchLimits, TransactionLimits
from tests.support.hostile_config import counted_verifications
from tests.support.paper import PaperNetwork

PAPER = PaperNetwork(organisations=3)
CONFIG = PAPER.config
Change = Callable[[dict[str, Any]], object]


def test_a_config_is_read_as_it_was_written() -> None:
    crl = PAPER.organisations["Org1MSP"].crl(PAPER.client)
    organisations = {**CONFIG.organisations, "Org1MSP": replace(CONFIG.organisations["Org1MSP"], crls=(crl,))}
    written = replace(
        CONFIG,
        sequence=7,
        organisations=organisations,
        batch=BatchLimits(max_message_count=3),
        limits=TransactionLimits(proposal_window_s=9),
    )
    read = ChannelConfig.parse(written.text)
    assert read == written
    assert read.text == written.text


def test_forwarders_are_read_as_they_were_written() -> None:
    written = replace(CONFIG, forwarders=frozenset((Forwarder("Org2MSP", "bridge"), Forwarder("Org1MSP", "relay"))))
    assert ChannelConfig.parse(written.text).forwarders == written.forwarders
    assert json.loads(written.text)["forwarders"] == [
        {"mspid": "Org1MSP", "name": "relay"},
        {"mspid": "Org2MSP", "name": "bridge"},
    ]


def test_a_config_without_forwarders_has_the_text_it_always_had() -> None:
    assert "forwarders" not in json.loads(CONFIG.text)
    assert ChannelConfig.parse(CONFIG.text).forwarders == frozenset()


def test_its_text_does_not_depend_on_the_order_of_members() -> None:
    backwards = {name: dict(reversed(getattr(CONFIG, name).items())) for name in ("organisations", "peers", "orderers")}
    assert replace(CONFIG, **backwards).text == CONFIG.text  # type: ignore[arg-type]


def test_nodes_are_found_by_their_fingerprint() -> None:
    assert CONFIG.peers_by_fingerprint[PAPER.peers["peer2"].fingerprint].name == "peer2"
    assert CONFIG.orderers_by_fingerprint[PAPER.orderers["orderer3"].fingerprint].name == "orderer3"
    assert CONFIG.peer_organisations == ("Org1MSP", "Org2MSP", "Org3MSP")


def test_all_in_a_policy_means_the_organisations_with_a_peer() -> None:
    policy = CONFIG.endorsement_policy("kv")
    assert policy.satisfied_by([("Org1MSP", "peer"), ("Org3MSP", "peer")])
    assert not policy.satisfied_by([("Org1MSP", "peer"), ("OrdererMSP", "peer")])
    assert CONFIG.policy("admins").satisfied_by([("Org1MSP", "admin"), ("Org2MSP", "admin")])
    with pytest.raises(KeyError):
        CONFIG.endorsement_policy("none")


def _set(*path: str, value: Any) -> Change:
    def change(message: dict[str, Any]) -> None:
        for name in path[:-1]:
            message = message[name]
        message[path[-1]] = value

    return change


FAULTS: list[tuple[str, Change]] = [
    ("another kind", _set("kind", value="config_update")),
    ("a member too many", _set("more", value=1)),
    ("a member too few", lambda message: message.pop("limits")),
    ("no organisation", _set("organisations", value={})),
    ("no orderer", _set("orderers", value={})),
    ("a node of nobody", _set("peers", "peer1", "mspid", value="ElsewhereMSP")),
    ("two nodes, one certificate", lambda message: message["peers"].update(peer9=message["peers"]["peer1"])),
    ("a certificate that is none", _set("peers", "peer1", "certificate", value="AAAA")),
    ("a root that is none", _set("organisations", "Org1MSP", "roots", value=["-----BEGIN NONSENSE"])),
    ("lists that are none", _set("organisations", "Org1MSP", "crls", value="")),
    ("an unknown policy", _set("policies", value={"admins": "any.admin", "readers": "any.member"})),
    ("a policy that is none", _set("policies", "readers", value="OutOf(")),
    ("a policy that nobody meets", _set("chaincodes", "kv", "policy", value="OutOf(4, all)")),
    ("a sequence that counts from 0", _set("chaincodes", "kv", "sequence", value=0)),
    ("too large a bound", _set("batch", "max_message_count", value=2**31)),
    ("a bound beyond 64 bits", _set("batch", "max_message_count", value=2.0**64)),
    ("a bound that is true", _set("batch", "max_message_count", value=True)),
    ("no forwarder", _set("forwarders", value=[])),
    ("forwarders that are none", _set("forwarders", value={"mspid": "Org1MSP", "name": "x"})),
    ("a forwarder of nobody", _set("forwarders", value=[{"mspid": "ElsewhereMSP", "name": "x"}])),
    ("a forwarder without a name", _set("forwarders", value=[{"mspid": "Org1MSP"}])),
    ("too many forwarders", _set("forwarders", value=[{"mspid": "Org1MSP", "name": "x"}] * 101)),
    ("no removed chaincode", _set("removed_chaincodes", value={})),
    ("a removed chaincode that is there", _set("removed_chaincodes", value={"kv": 1})),
    ("a removed chaincode of no sequence", _set("removed_chaincodes", value={"kw": 0})),
    ("a removed chaincode of no name", _set("removed_chaincodes", value={"": 1})),
    ("removed chaincodes that are none", _set("removed_chaincodes", value=["kw"])),
    ("too many removed chaincodes", _set("removed_chaincodes", value={f"k{n}": 1 for n in range(1001)})),
    ("a bound too few", lambda message: message["limits"].pop("proposal_window_s")),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=what) for what, change in FAULTS])
def test_parts_that_do_not_fit_are_refused(change: Change) -> None:
    message = json.loads(CONFIG.text)
    change(message)
    with pytest.raises(GridLedgerError) as caught:
        ChannelConfig.parse(json.dumps(message))
    assert caught.value.status == 400


@pytest.mark.parametrize(("part", "most"), [("organisations", 1000), ("peers", 1000), ("chaincodes", 100)])
def test_parts_are_bounded(part: str, most: int) -> None:
    message = json.loads(CONFIG.text)
    message[part] = {f"n{number}": {} for number in range(most + 1)}
    with pytest.raises(MalformedMessage, match=f"at most {most} members"):
        ChannelConfig.parse(json.dumps(message))


@pytest.mark.parametrize(
    ("part", "items", "says"),
    [
        ("roots", 17, "'roots' of Org1MSP must be a list of at most 16"),
        ("crls", 17, "'crls' of Org1MSP must be a list of at most 16"),
        ("crls", ["x" * 300_000] * 2, "at most 524288 bytes together"),
    ],
)
def test_roots_and_lists_of_an_organisation_are_bounded(part: str, items: int | list[str], says: str) -> None:
    message = json.loads(CONFIG.text)
    there = message["organisations"]["Org1MSP"]
    there[part] = there["roots"] * items if isinstance(items, int) else items
    with counted_verifications() as found, pytest.raises(MalformedMessage, match=says):
        ChannelConfig.parse(json.dumps(message))
    assert not found


def test_a_config_that_is_built_is_checked_when_asked() -> None:
    CONFIG.check()
    broken = replace(CONFIG, chaincodes={"kv": ChaincodeDefinition("kv", 1, "1.0", "0" * 64, "OutOf(9, all)")})
    with pytest.raises(GridLedgerError):
        broken.check()
    with pytest.raises(MalformedMessage, match="at least one organisation and one orderer"):
        replace(CONFIG, orderers={}).check()
