"""Updates with real certificates and signatures: who gets a change through, at submission and in a block alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger import Ledger
from gridledger.ledger.verify import verify
from gridledger.protocol import capabilities
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Organisation
from gridledger.protocol.config_update import (
    ConfigSignature,
    ConfigUpdate,
    InvalidConfigUpdate,
    _signed_text,
    explain_update,
    verify_update,
)
from gridledger.protocol.errors import CapabilityUnknown
from services.orderer.submission import check_submission
from tests.support.hostile_config import counted_verifications
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, PaperPeer

VALID, INVALID = TxValidationCode.VALID, TxValidationCode.INVALID_CONFIG_TRANSACTION
Change = Callable[[PaperNetwork, PaperOrganisation], dict[str, Any]]
"""The members of a config that somebody would change, given an organisation of the same name under another root."""


@pytest.fixture
def paper() -> PaperNetwork:
    return PaperNetwork(organisations=4)


def entry(paper: PaperNetwork, mspid: str, **changed: Any) -> dict[str, Any]:
    there = replace(paper.config.organisations[mspid], **changed)
    return {"organisations": {**paper.config.organisations, mspid: there}}


def certificate(paper: PaperNetwork, organisation: PaperOrganisation) -> dict[str, Any]:
    peer = replace(paper.config.peers["peer1"], certificate=organisation.issue("peer1", "peer").certificate)
    return {"peers": {**paper.config.peers, "peer1": peer}}


def new_peer(paper: PaperNetwork, organisation: PaperOrganisation) -> dict[str, Any]:
    peer = replace(paper.config.peers["peer1"], name="peer9", certificate=organisation.issue("p9", "peer").certificate)
    return {"peers": {**paper.config.peers, "peer9": peer}}


ATTACKS: dict[str, Change] = {
    "its root": lambda paper, evil: entry(paper, "Org1MSP", roots=(evil.root,)),
    "a root beside its own": lambda paper, evil: entry(
        paper, "Org1MSP", roots=(*paper.config.organisations["Org1MSP"].roots, evil.root)
    ),
    "a list that revokes its admin": lambda paper, _: entry(
        paper, "Org1MSP", crls=(paper.organisations["Org1MSP"].crl(paper.admins["Org1MSP"]),)
    ),
    "its admins": lambda paper, _: entry(
        paper, "Org1MSP", policies={**paper.config.organisations["Org1MSP"].policies, "Admins": "'Org1MSP.client'"}
    ),
    "its peer's certificate": lambda paper, _: certificate(paper, paper.organisations["Org1MSP"]),
    "its peer's certificate and root": lambda paper, evil: {
        **entry(paper, "Org1MSP", roots=(evil.root,)),
        **certificate(paper, evil),
    },
    "its anchor": lambda paper, _: entry(paper, "Org1MSP", anchors=("peer1",)),
    "a peer of it": lambda paper, _: new_peer(paper, paper.organisations["Org1MSP"]),
}


def others(paper: PaperNetwork) -> list[SigningIdentity]:
    """An admin of each organisation but Org1."""
    return [signer for signer in paper.all_admins if signer.mspid != "Org1MSP"]


@pytest.mark.parametrize("change", ATTACKS.values(), ids=ATTACKS)
def test_all_others_together_do_not_change_an_organisation(change: Change, paper: PaperNetwork, tmp_path: Path) -> None:
    changes = change(paper, PaperOrganisation("Org1MSP"))
    update = paper.update(others(paper), **changes)
    for signer in others(paper):
        paper.identity(signer)
    with counted_verifications() as found, pytest.raises(PermissionDeniedError) as caught:
        check_submission(update.to_bytes(), paper.config, NOW_US)
    assert caught.value.details["policy"] == "/Channel/Application/Org1MSP/Admins"
    assert caught.value.details["missing"] == ["Org1MSP"]
    assert caught.value.details["path"].startswith(("organisations/Org1MSP/", "peers/peer"))
    assert found == ["verify"] * len(update.signatures)  # no certificate of the update was judged
    peer = PaperPeer(tmp_path, paper)
    assert peer.commit(update).codes == (INVALID,)
    assert peer.ledger.config().sequence == 0


@pytest.mark.parametrize(
    "name", [name for name in ATTACKS if name not in ("its root", "its peer's certificate and root")]
)
def test_its_own_admin_alone_changes_it(name: str, paper: PaperNetwork, tmp_path: Path) -> None:
    update = paper.update([paper.admins["Org1MSP"]], **ATTACKS[name](paper, PaperOrganisation("Org1MSP")))
    check_submission(update.to_bytes(), paper.config, NOW_US)
    assert PaperPeer(tmp_path, paper).commit(update).codes == (VALID,)


def without_org1(config: ChannelConfig) -> ChannelConfig:
    """The next configuration, with Org1 removed, under an endorsement policy that needs nobody of it."""
    removed = config.with_organisations({name: o for name, o in config.organisations.items() if name != "Org1MSP"})
    kv = replace(config.chaincodes["kv"], sequence=2, policy="any.peer")
    return replace(removed, sequence=config.sequence + 1, chaincodes={"kv": kv})


def signed(config: ChannelConfig, signers: Sequence[SigningIdentity]) -> ConfigUpdate:
    return ConfigUpdate.build(config, signers, time_us=NOW_US)


def returning(config: ChannelConfig, organisation: Organisation, **changes: Any) -> ChannelConfig:
    again = config.with_organisations({**config.organisations, organisation.mspid: organisation})
    return replace(again, sequence=config.sequence + 1, **changes)


def test_all_others_do_not_change_an_organisation_by_way_of_a_removal(paper: PaperNetwork, tmp_path: Path) -> None:
    peer, first, evil = PaperPeer(tmp_path, paper), paper.config, PaperOrganisation("Org1MSP")
    removed = without_org1(first)
    assert peer.commit(signed(removed, others(paper))).codes == (VALID,)
    before = first.organisations["Org1MSP"]
    theirs = replace(first.peers["peer1"], certificate=evil.issue("peer1", "peer").certificate)
    tries = {
        "another root": returning(removed, replace(before, roots=(evil.root,))),
        "another root too": returning(removed, replace(before, roots=(*before.roots, evil.root))),
        "other lists": returning(removed, replace(before, crls=(paper.organisations["Org1MSP"].crl(paper.client),))),
        "other policies": returning(
            removed, replace(before, policies={**before.policies, "Endorsement": "'Org1MSP.client'"})
        ),
        "their peer": returning(removed, replace(before, roots=(evil.root,)), peers={**removed.peers, "peer1": theirs}),
        "its peer, elsewhere": returning(
            removed, before, peers={**removed.peers, "peer1": replace(first.peers["peer1"], url="https://theirs:1")}
        ),
        "forgotten": replace(returning(removed, replace(before, roots=(evil.root,))), removed_organisations={}),
        "forgotten first": replace(removed, sequence=2, removed_organisations={}),
    }
    for what, following in tries.items():
        update = signed(following, others(paper))
        with pytest.raises(GridLedgerError):
            check_submission(update.to_bytes(), removed, NOW_US)
        assert peer.commit(update).codes == (INVALID,), what
    back = returning(removed, before)
    assert peer.commit(signed(back, others(paper))).codes == (VALID,)
    own = replace(back, sequence=3, peers={**back.peers, "peer1": first.peers["peer1"]})
    assert peer.commit(signed(own, others(paper))).codes == (INVALID,)
    assert peer.commit(signed(own, [paper.admins["Org1MSP"]])).codes == (VALID,)


def test_a_removed_organisation_is_remembered_by_the_very_update(paper: PaperNetwork) -> None:
    removed = without_org1(paper.config)
    wrong: list[dict[str, Any]] = [
        {},
        {"Org1MSP": "0" * 64},
        {**removed.removed_organisations, "Org9MSP": "0" * 64},
    ]
    for remembered in wrong:
        update = signed(replace(removed, removed_organisations=remembered), others(paper))
        with pytest.raises(InvalidConfigUpdate, match="'removed_organisations' must have"):
            verify_update(paper.config, update, NOW_US)
    verify_update(paper.config, signed(removed, others(paper)), NOW_US)


def test_an_organisation_that_no_admin_speaks_for_costs_no_reading(paper: PaperNetwork) -> None:
    """Clients and peers may sign as much as they like."""
    signers = [*paper.clients.values(), *paper.peers.values()]
    with pytest.raises(PermissionDeniedError, match="8 valid signatures, and none of an admin"):
        verify_update(paper.config, paper.update(signers), NOW_US)


def test_an_update_is_told_in_words(paper: PaperNetwork) -> None:
    kw = ChaincodeDefinition("kw", 1, "1.0", "1" * 64, "any.peer")
    update = paper.update([paper.admins["Org2MSP"]], chaincodes={**paper.config.chaincodes, "kw": kw})
    assert explain_update(paper.config, update, NOW_US) == [
        (
            "chaincodes/kw is added: needs /Channel/Application/Admins (MAJORITY Admins); signed by Org2MSP; "
            "not met, still without Org1MSP, Org3MSP, Org4MSP"
        ),
    ]


# Capabilities


def with_capabilities(paper: PaperNetwork, signers: Sequence[SigningIdentity], **more: Any) -> ConfigUpdate:
    """An update of a newer version, which this one cannot write."""
    config = {**json.loads(paper.config.text), "sequence": 1, "capabilities": ["V1", "V2"], **more}
    text = json.dumps(config)
    made = ConfigUpdate("", text, paper.channel, 1, NOW_US, ())
    whole = json.dumps({"kind": "config_update", "time": NOW_US, "config": text})
    made = replace(made, text=whole)
    signatures = [ConfigSignature(one.certificate.der, one.sign(_signed_text(whole))) for one in signers]
    return replace(made, signatures=tuple(signatures))


def test_a_node_stops_at_a_capability_that_it_does_not_know(paper: PaperNetwork, tmp_path: Path) -> None:
    """It gives the update no code: to a newer node it may be valid, and the two would go on differently."""
    update = with_capabilities(paper, paper.all_admins, more={"of": "a newer version"})
    with pytest.raises(CapabilityUnknown, match="asks for V2, which this version of GridLedger does not know: upgrade"):
        check_submission(update.to_bytes(), paper.config, NOW_US)
    peer = PaperPeer(tmp_path, paper)
    with pytest.raises(CapabilityUnknown):
        peer.commit(update)
    assert (peer.ledger.height, peer.ledger.config().sequence) == (1, 0)


def test_a_capability_that_was_not_agreed_on_stops_nobody(paper: PaperNetwork, tmp_path: Path) -> None:
    peer = PaperPeer(tmp_path, paper)
    for signers in ([], [paper.client], list(paper.admins.values()), [paper.orderer_admin]):
        update = with_capabilities(paper, signers)
        with pytest.raises(PermissionDeniedError):
            check_submission(update.to_bytes(), paper.config, NOW_US)
        assert peer.commit(update).codes == (INVALID,)


@pytest.mark.parametrize("names", [["V2", "V1"], ["V1", 2], "V2", ["V2", "V2"]])
def test_capabilities_that_are_none_stop_nobody(names: Any, paper: PaperNetwork, tmp_path: Path) -> None:
    update = with_capabilities(paper, paper.all_admins, capabilities=names)
    assert PaperPeer(tmp_path, paper).commit(update).codes == (INVALID,)


def test_a_newer_node_goes_on(paper: PaperNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an older one does not even open its ledger."""
    peer = PaperPeer(tmp_path, paper)
    with monkeypatch.context() as newer:
        newer.setattr(capabilities, "KNOWN_CAPABILITIES", frozenset(("V1", "V2")))
        assert peer.commit(with_capabilities(paper, paper.all_admins)).codes == (VALID,)
        assert peer.ledger.config().capabilities == ("V1", "V2")
    peer.ledger.close()
    again = Ledger.open(tmp_path, paper.channel)
    with pytest.raises(CapabilityUnknown):
        again.config()
    assert "does not know: upgrade this node" in str(verify(again))
    again.close()
