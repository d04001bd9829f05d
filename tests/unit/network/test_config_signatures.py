"""Whose signatures are put under an update, and what is said where they are not to be had."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import NotFoundError, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.bootstrap import connection_profile
from gridledger.network.config_signatures import Admins, check_complete, needed_signers, sign
from gridledger.network.schema import load_network_config
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import verify_update
from gridledger.protocol.limits import TransactionLimits
from tests.support.paper import NOW_US, PaperNetwork, paper_policies
from tests.support.processes import REPOSITORY

PAPER = PaperNetwork(organisations=5)
EVERYBODY = {identity.mspid: identity for identity in PAPER.all_admins}
APPLICATION = ("Org1MSP", "Org2MSP", "Org3MSP", "Org4MSP", "Org5MSP")


def admins(mspids: Iterable[str]) -> Admins:
    """The admins of these organisations, as if their keys lay in one folder."""
    return Admins(
        {mspid: f"{mspid.removesuffix('MSP')}/admin" for mspid in mspids},
        {mspid: EVERYBODY[mspid] for mspid in mspids},
        {mspid: (mspid, "admin") for mspid in mspids},
    )


def signers(following: ChannelConfig, at_hand: Iterable[str] = EVERYBODY) -> list[str]:
    return needed_signers(PAPER.config, following, admins(at_hand).signers)


def with_policy(path: str, text: str) -> ChannelConfig:
    return PAPER.config.followed_by(replace(PAPER.config, policies=paper_policies({path: text})))


def with_own_policy(mspid: str, config: ChannelConfig = PAPER.config) -> ChannelConfig:
    entry = config.organisations[mspid]
    entry = replace(entry, policies={**entry.policies, "Endorsement": f"OR('{mspid}.peer', '{mspid}.admin')"})
    return PAPER.config.followed_by(replace(config, organisations={**config.organisations, mspid: entry}))


def test_no_more_sign_than_the_policy_asks_for() -> None:
    assert len(signers(with_policy("Application/Readers", "ANY Writers"))) == 3
    assert signers(with_policy("Orderer/Writers", "ANY Admins")) == ["OrdererMSP"]
    assert signers(with_own_policy("Org4MSP")) == ["Org4MSP"]


def test_one_signature_serves_several_policies() -> None:
    both = with_own_policy("Org5MSP", with_policy("Application/Readers", "ANY Writers"))
    assert signers(both) == ["Org1MSP", "Org2MSP", "Org5MSP"]
    later = with_own_policy("Org5MSP", replace(PAPER.config, limits=TransactionLimits(config_window_s=600)))
    assert signers(later) == ["OrdererMSP", "Org2MSP", "Org3MSP", "Org5MSP"]


def test_who_is_not_named_does_not_sign() -> None:
    assert signers(with_own_policy("Org4MSP"), ["Org1MSP", "OrdererMSP"]) == []
    assert signers(with_policy("Application/Readers", "ANY Writers"), ["OrdererMSP", "Org2MSP"]) == ["Org2MSP"]


@pytest.mark.parametrize("at_hand", [EVERYBODY, ["Org3MSP", "Org4MSP", "Org5MSP"]])
def test_what_was_collected_is_enough_for_the_channel(at_hand: Iterable[str]) -> None:
    following = with_policy("Application/Readers", "ANY Writers")
    signed = sign(PAPER.config, following, admins(at_hand), NOW_US)
    assert not signed.unmet
    assert verify_update(PAPER.config, signed.update, NOW_US) == following
    assert len(signed.names) == len(signed.update.signatures) == 3


def test_missing_signatures_are_told_by_name() -> None:
    following, here = with_policy("Application/Readers", "ANY Writers"), admins(["Org1MSP", "Org2MSP"])
    signed = sign(PAPER.config, following, here, NOW_US)
    assert signed.names == ("Org1/admin", "Org2/admin")
    with pytest.raises(PermissionDeniedError, match=r"signed here by Org1/admin, Org2/admin\).*--output") as caught:
        check_complete(PAPER.config, following, signed, here)
    assert caught.value.details == {
        "path": "policies/Application/Readers",
        "policy": "/Channel/Application/Admins",
        "missing": ["Org3MSP", "Org4MSP", "Org5MSP"],
    }


def test_an_admin_whom_the_channel_refuses_is_told() -> None:
    following = with_own_policy("Org1MSP")
    here = Admins({}, {}, {}, {"Org1MSP": "Org1/admin: it is revoked", "Org2MSP": "Org2/admin: it is expired"})
    with pytest.raises(PermissionDeniedError, match="nobody here can sign; Org1/admin: it is revoked") as caught:
        check_complete(PAPER.config, following, sign(PAPER.config, following, here, NOW_US), here)
    assert "Org2/admin" not in caught.value.message


@pytest.fixture
def profile(tmp_path: Path) -> ConnectionProfile:
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    return load_profile(tmp_path)


def keep(profile: ConnectionProfile, identity: SigningIdentity, organisation: str, name: str) -> None:
    identity.save(profile.user(organisation, name))


def test_the_admins_whose_keys_lie_in_the_folder_sign(profile: ConnectionProfile) -> None:
    keep(profile, EVERYBODY["Org1MSP"], "Org1", "admin")
    keep(profile, PAPER.clients["Org1MSP"], "Org1", "alice")
    expired = PAPER.organisations["Org2MSP"].issue("admin", "admin", not_after=datetime(2025, 1, 1, tzinfo=UTC))
    keep(profile, expired, "Org2", "admin")
    found = Admins.of(profile, PAPER.config, NOW_US)
    assert (found.names, found.signers) == ({"Org1MSP": "Org1/admin"}, {"Org1MSP": ("Org1MSP", "admin")})
    assert found.refused["Org2MSP"].startswith("Org2/admin: ")
    assert "not valid" in found.refused["Org2MSP"]


def test_a_user_who_is_named_signs_alone(profile: ConnectionProfile) -> None:
    for number in (1, 2):
        keep(profile, EVERYBODY[f"Org{number}MSP"], f"Org{number}", "admin")
    assert Admins.of(profile, PAPER.config, NOW_US, "Org2/admin").names == {"Org2MSP": "Org2/admin"}
    with pytest.raises(NotFoundError, match="there is no user 'Org3/admin'; there are: Org1/admin, Org2/admin"):
        Admins.of(profile, PAPER.config, NOW_US, "Org3/admin")


def test_the_config_that_follows_remembers_what_is_gone() -> None:
    config = PAPER.config
    rest = {mspid: item for mspid, item in config.organisations.items() if mspid != "Org5MSP"}
    peers = {name: node for name, node in config.peers.items() if node.mspid != "Org5MSP"}
    following = config.followed_by(replace(config, organisations=rest, peers=peers, chaincodes={}))
    assert following.sequence == 1
    assert set(following.removed_organisations) == {"Org5MSP"}
    assert following.removed_chaincodes == {"kv": 1}
    back = following.followed_by(replace(following, organisations=config.organisations))
    assert (back.removed_organisations, back.sequence) == ({}, 2)
    limits = TransactionLimits(config_window_s=600)
    assert following.followed_by(replace(following, limits=limits)).removed_chaincodes == {"kv": 1}


def test_the_config_that_follows_names_who_departs() -> None:
    config = PAPER.config
    orderers = {name: node for name, node in config.orderers.items() if name != "orderer3"}
    following = config.followed_by(replace(config, orderers=orderers))
    assert following.departing_orderers == {"orderer3": config.orderers["orderer3"]}
    after = following.followed_by(replace(following, departing_orderers={}))
    assert after.departing_orderers == following.departing_orderers
