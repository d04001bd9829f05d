"""A channel's configuration: read as it was written, and refused where its parts do not fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridledger.errors import GridLedgerError, MalformedMessage, OtherFormat
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Forwarder, Node, Organisation
from gridledger.protocol.config_authority import entry_hash
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.limits import BatchLimits, TransactionLimits
from tests.support.hostile_config import counted_verifications
from tests.support.paper import PaperNetwork, PaperOrganisation, paper_policies

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


def test_all_of_a_config_is_read_as_it_was_written() -> None:
    observer = PaperOrganisation("ControlRoomMSP")
    organisations = {
        **CONFIG.organisations,
        "Org1MSP": replace(CONFIG.organisations["Org1MSP"], anchors=("peer1",)),
        "ControlRoomMSP": Organisation("ControlRoomMSP", (observer.root,), kind="observer"),
    }
    written = replace(
        CONFIG,
        organisations=organisations,
        acls={"peer/Propose": "/Channel/Writers", "event/Block": "/Channel/Application/Readers"},
        policies=paper_policies({"Application/Admins": "ANY Admins", "Observer/Readers": "'ControlRoomMSP.admin'"}),
        removed_organisations=_removed("Org9MSP"),
        departing_orderers={"orderer9": _another_orderer("orderer9")},
    )
    assert ChannelConfig.parse(written.text) == written
    assert ChannelConfig.parse(written.text).text == written.text
    assert written.application_organisations == CONFIG.application_organisations
    bare = json.loads(replace(written, acls={}, removed_organisations={}, departing_orderers={}).text)
    assert not {"acls", "removed_organisations", "departing_orderers"} & bare.keys()


def _another_orderer(name: str) -> Node:
    certificate = PAPER.organisations["OrdererMSP"].issue(name, "orderer").certificate
    return Node(name, "OrdererMSP", f"https://{name}:1", certificate)


def test_an_orderer_that_is_taken_away_departs() -> None:
    rest = {name: node for name, node in CONFIG.orderers.items() if name != "orderer2"}
    without = CONFIG.with_orderers(rest)
    assert without.departing_orderers == {"orderer2": CONFIG.orderers["orderer2"]}
    assert without.raft_nodes.keys() == CONFIG.orderers.keys()
    moved = {name: replace(node, url="https://elsewhere:1") for name, node in rest.items()}
    assert without.with_orderers(moved).departing_orderers == without.departing_orderers
    grown = without.with_orderers({**rest, "orderer4": _another_orderer("orderer4")})
    assert grown.departing_orderers == {}


def test_an_organisation_takes_its_departing_orderer_along() -> None:
    elsewhere = PaperOrganisation("ElsewhereMSP")
    certificate = elsewhere.issue("orderer9", "orderer").certificate
    grown = replace(
        CONFIG,
        organisations={
            **CONFIG.organisations,
            "ElsewhereMSP": Organisation("ElsewhereMSP", (elsewhere.root,), kind="orderer"),
        },
        departing_orderers={"orderer9": Node("orderer9", "ElsewhereMSP", "https://orderer9:1", certificate)},
    )
    grown.check()
    assert grown.with_organisations(CONFIG.organisations).departing_orderers == {}
    with pytest.raises(MalformedMessage, match="remove the orderer first"):
        replace(grown, organisations=CONFIG.organisations).check()


def test_a_config_of_another_format_is_refused_with_one_line() -> None:
    message = json.loads(CONFIG.text)
    for members in ({"format": 3}, {"format": "2"}, {}):
        changed = {name: value for name, value in message.items() if name != "format"} | members
        with pytest.raises(
            OtherFormat, match=r"the channel 'shard1': the channel's configuration has format .* begin anew"
        ):
            ChannelConfig.parse(json.dumps(changed))
    before = {"kind": "channel_config", "channel": "shard1", "sequence": 0, "policies": {"admins": "any.admin"}}
    with pytest.raises(OtherFormat, match="has format 1, without a number"):
        ChannelConfig.parse(json.dumps(before))


def test_a_capability_that_is_not_known_is_told_before_all_else() -> None:
    """What a newer version wrote may have members and a format that this one cannot read."""
    message = {**json.loads(CONFIG.text), "capabilities": ["V1", "V2", "V3"], "format": 9, "more": 1}
    with pytest.raises(CapabilityUnknown, match=r"'shard1' asks for V2, V3, .*: upgrade this node") as caught:
        ChannelConfig.parse(json.dumps(message))
    assert caught.value.details == {"unknown": ["V2", "V3"], "known": ["V1"]}


def test_a_removal_takes_peers_along_and_is_remembered() -> None:
    kept = {name: item for name, item in CONFIG.organisations.items() if name != "Org3MSP"}
    without = CONFIG.with_organisations(kept)
    assert set(without.peers) == {"peer1", "peer2"}
    entry = CONFIG.organisations["Org3MSP"]
    assert without.removed_organisations == {"Org3MSP": entry_hash(entry.to_dict())}
    again = without.with_organisations(CONFIG.organisations)
    assert again.removed_organisations == {}


def test_no_organisation_takes_the_places_of_all_peers() -> None:
    certificates = [PAPER.organisations["Org1MSP"].issue(f"p{n}", "peer").certificate for n in range(101)]
    nodes = {f"p{n}": Node(f"p{n}", "Org1MSP", "https://p:1", one) for n, one in enumerate(certificates)}
    kept = dict(list(nodes.items())[:99])
    replace(CONFIG, peers={**CONFIG.peers, **kept}).check()
    with pytest.raises(MalformedMessage, match="Org1MSP has 101 peers, at most 100"):
        replace(CONFIG, peers=nodes).check()


def test_a_resource_has_the_policy_that_the_channel_gives_it() -> None:
    changed = replace(CONFIG, acls={"gateway/Evaluate": "/Channel/Application/Writers"})
    assert CONFIG.policy_of("gateway/Evaluate") == "/Channel/Readers"
    assert changed.policy_of("gateway/Evaluate") == "/Channel/Application/Writers"


def test_its_text_does_not_depend_on_the_order_of_members() -> None:
    backwards = {name: dict(reversed(getattr(CONFIG, name).items())) for name in ("organisations", "peers", "orderers")}
    assert replace(CONFIG, **backwards).text == CONFIG.text  # type: ignore[arg-type]


def test_nodes_are_found_by_their_fingerprint() -> None:
    assert CONFIG.peers_by_fingerprint[PAPER.peers["peer2"].fingerprint].name == "peer2"
    assert CONFIG.orderers_by_fingerprint[PAPER.orderers["orderer3"].fingerprint].name == "orderer3"
    assert CONFIG.peer_organisations == ("Org1MSP", "Org2MSP", "Org3MSP")


def test_all_in_a_policy_means_the_application_organisations() -> None:
    """With a peer or without one: else an organisation would come to count, or not to, by a change of its own peers."""
    without = replace(CONFIG, peers={name: CONFIG.peers[name] for name in ("peer1", "peer2")})
    for config in (CONFIG, without):
        assert config.application_organisations == ("Org1MSP", "Org2MSP", "Org3MSP")
        assert config.endorsement_policy("kv").mspids == {"Org1MSP", "Org2MSP", "Org3MSP"}
    policy = CONFIG.endorsement_policy("kv")
    assert policy.satisfied_by([("Org1MSP", "peer"), ("Org3MSP", "peer")])
    assert not policy.satisfied_by([("Org1MSP", "peer"), ("OrdererMSP", "peer")])
    admins = CONFIG.policy("/Channel/Application/Admins")
    assert admins.satisfied_by([("Org1MSP", "admin"), ("Org2MSP", "admin")])
    with pytest.raises(KeyError):
        CONFIG.endorsement_policy("none")


def _set(*path: str, value: Any) -> Change:
    def change(message: dict[str, Any]) -> None:
        for name in path[:-1]:
            message = message[name]
        message[path[-1]] = value

    return change


def _own_policy(text: str) -> Change:
    return _set("organisations", "Org1MSP", "policies", "Readers", value=text)


def _removed(mspid: str) -> dict[str, Any]:
    return {mspid: "0" * 64}


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
    ("an unknown group of policies", _set("policies", "Others", value={"Readers": "any.member"})),
    ("an unknown policy", _set("policies", "Observer", "Writers", value="ANY Writers")),
    ("a policy too few", lambda message: message["policies"]["Orderer"].pop("BlockValidation")),
    ("a policy that is none", _set("policies", "Channel", "Readers", value="OutOf(")),
    ("an observers' policy that is none", _set("policies", "Observer", "Readers", value="OutOf(")),
    ("a policy without a text", _set("policies", "Channel", "Readers", value=["ANY Readers"])),
    ("a kind that is none", _set("organisations", "Org1MSP", "kind", value="king")),
    ("a kind that is no text", _set("organisations", "Org1MSP", "kind", value=["application"])),
    ("a peer of the orderers", _set("peers", "peer1", "mspid", value="OrdererMSP")),
    ("a peer of an observer", _set("organisations", "Org1MSP", "kind", value="observer")),
    ("an orderer of an application's organisation", _set("orderers", "orderer1", "mspid", value="Org1MSP")),
    (
        "an organisation's policy too few",
        lambda message: message["organisations"]["Org1MSP"]["policies"].pop("Readers"),
    ),
    ("an organisation's policy about another", _own_policy("OR('Org1MSP.admin', 'Org2MSP.admin')")),
    ("an organisation's policy that counts others", _own_policy("MAJORITY Admins")),
    ("an organisation's policy that is long", _own_policy(f"OR('Org1MSP.admin'{' ' * 1024})")),
    ("an anchor of another", _set("organisations", "Org1MSP", "anchors", value=["peer2"])),
    ("an anchor that is none", _set("organisations", "Org1MSP", "anchors", value=["peer9"])),
    ("an anchor twice", _set("organisations", "Org1MSP", "anchors", value=["peer1", "peer1"])),
    ("an anchor that is no name", _set("organisations", "Org1MSP", "anchors", value=[["peer1"]])),
    ("capabilities that are none", _set("capabilities", value="V1")),
    ("capabilities in disorder", _set("capabilities", value=["V1", "V0"])),
    ("a capability twice", _set("capabilities", value=["V1", "V1"])),
    ("a capability that is no text", _set("capabilities", value=[["V1"]])),
    ("no ACL", _set("acls", value={})),
    ("ACLs that are none", _set("acls", value=["peer/Propose"])),
    ("an ACL of what nobody asks about", _set("acls", value={"peer/Dance": "/Channel/Readers"})),
    ("an ACL without its policy", _set("acls", value={"peer/Propose": "/Channel/Application/Dancers"})),
    ("an ACL of no policy", _set("acls", value={"peer/Propose": ["/Channel/Readers"]})),
    ("no removed organisation", _set("removed_organisations", value={})),
    ("a removed organisation that is there", lambda message: message.update(removed_organisations=_removed("Org1MSP"))),
    ("a removed organisation of no name", lambda message: message.update(removed_organisations=_removed("Org 9"))),
    ("a removed organisation without its hash", _set("removed_organisations", value={"Org9MSP": "0"})),
    (
        "too many removed organisations",
        lambda message: message.update(
            removed_organisations={name: item for n in range(1001) for name, item in _removed(f"Org{n + 9}MSP").items()}
        ),
    ),
    ("no departing orderer", _set("departing_orderers", value={})),
    (
        "a departing orderer that stays",
        lambda message: message.update(departing_orderers={"orderer1": message["orderers"]["orderer1"]}),
    ),
    (
        "a departing orderer with another one's certificate",
        lambda message: message.update(departing_orderers={"orderer9": message["orderers"]["orderer1"]}),
    ),
    (
        "two departing orderers",
        lambda message: message.update(
            departing_orderers={name: message["orderers"].pop(name) for name in ("orderer1", "orderer2")}
        ),
    ),
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
