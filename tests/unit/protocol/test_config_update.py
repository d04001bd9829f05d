"""Config updates: what follows from the present configuration, and who must have signed it."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import GridLedgerError, MalformedMessage, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChaincodeDefinition, ChannelConfig, Node
from gridledger.protocol.config_update import (
    ConfigUpdate,
    InvalidConfigUpdate,
    is_config_block,
    parse_envelope,
    verify_update,
)
from gridledger.protocol.limits import TransactionLimits
from tests.support.hostile_config import counted_verifications, with_roots_times_lists
from tests.support.paper import NOW_US, PaperChain, PaperNetwork, PaperOrganisation, PaperPeer, paper_policies

PAPER = PaperNetwork(organisations=3)
"""A majority of the admins of its application organisations is two."""

DAY_US = 86_400_000_000


def follows(update: ConfigUpdate, at_us: int = NOW_US) -> bool:
    """Whether the signatures are enough for what the update changes."""
    try:
        assert verify_update(PAPER.config, update, at_us) == update.config
    except PermissionDeniedError:
        return False
    return True


def test_an_update_is_read_as_it_was_written() -> None:
    update = PAPER.update()
    assert ConfigUpdate.parse(update.to_bytes()) == update
    assert parse_envelope(update.to_bytes()) == update
    transaction = PAPER.transaction({"k": 1})
    assert parse_envelope(transaction.to_bytes()) == transaction


def test_a_majority_of_the_admins_must_sign() -> None:
    """An update that changes nothing is the application's affair."""
    one, two, three = PAPER.admins.values()
    assert follows(PAPER.update([one, two, three]))
    assert follows(PAPER.update([one, three]))
    assert not follows(PAPER.update([one]))
    assert not follows(PAPER.update([]))
    assert not follows(PAPER.update([one, one, one]))


def test_an_unsigned_update_costs_no_verification() -> None:
    """However many roots and lists it brings."""
    heavy = with_roots_times_lists(PAPER.config, 8)
    envelopes = {
        "unsigned": ConfigUpdate.build(heavy, time_us=NOW_US).to_bytes(),
        "of another channel": ConfigUpdate.build(
            replace(heavy, channel="shard2"), list(PAPER.admins.values())
        ).to_bytes(),
        "of another sequence": ConfigUpdate.build(replace(heavy, sequence=9), list(PAPER.admins.values())).to_bytes(),
    }
    for what, envelope in envelopes.items():
        with counted_verifications() as found, pytest.raises(GridLedgerError):
            verify_update(PAPER.config, ConfigUpdate.parse(envelope), NOW_US)
        assert not found, what
    signed = ConfigUpdate.build(heavy, list(PAPER.admins.values()), time_us=NOW_US).to_bytes()
    with counted_verifications() as found:
        verify_update(PAPER.config, ConfigUpdate.parse(signed), NOW_US)
    assert len(found) > 8 * 8


def test_an_update_that_one_admin_signs_costs_its_signature() -> None:
    one = PAPER.admins["Org1MSP"]
    envelope = ConfigUpdate.build(with_roots_times_lists(PAPER.config, 10), [one], time_us=NOW_US).to_bytes()
    PAPER.config.msps.identify(one.certificate, NOW_US)
    with counted_verifications() as found, pytest.raises(PermissionDeniedError):
        verify_update(PAPER.config, ConfigUpdate.parse(envelope), NOW_US)
    assert found == ["verify"]


def test_more_signatures_than_can_count_are_not_judged() -> None:
    update = PAPER.update()
    many = replace(update, signatures=update.signatures[:1] * 101)
    with counted_verifications() as found, pytest.raises(InvalidConfigUpdate, match="at most 100 are judged"):
        verify_update(PAPER.config, many, NOW_US)
    assert not found


WEEK_US = 7 * DAY_US
ADMINS = PAPER.all_admins


def dated(time_us: int | None, **changes: Any) -> ConfigUpdate:
    return ConfigUpdate.build(replace(PAPER.config, sequence=1, **changes), ADMINS, time_us=time_us)


def test_an_update_is_good_for_the_channels_window() -> None:
    for time_us in (NOW_US, NOW_US - WEEK_US, NOW_US + 300 * 1_000_000):
        assert follows(ConfigUpdate.parse(dated(time_us).to_bytes()))
    refused: list[tuple[int | None, str]] = [
        (NOW_US - WEEK_US - 1, r"the update expired: it was made 168.0 hours ago, and is good for 168 hours"),
        (NOW_US + 300 * 1_000_000 + 1, r"dated 300 s ahead, at most 300 s are allowed"),
        (None, r"carries no time"),
    ]
    for made_us, says in refused:
        with pytest.raises(InvalidConfigUpdate, match=says):
            verify_update(PAPER.config, dated(made_us), NOW_US)


def test_an_expired_update_has_no_effect_in_a_block(tmp_path: Path) -> None:
    """The block's timestamp decides, at every peer alike."""
    paper = PaperNetwork()
    late, in_time = paper.update(), paper.update()
    peer = PaperPeer(tmp_path, paper)
    assert peer.commit(in_time, after_us=WEEK_US + 1).codes == (TxValidationCode.INVALID_CONFIG_TRANSACTION,)
    other = PaperPeer(tmp_path / "other", paper)
    assert other.commit(late, after_us=WEEK_US).codes == (TxValidationCode.VALID,)


def test_a_window_of_a_channel_is_its_own() -> None:
    hour = replace(PAPER.config, limits=TransactionLimits(config_window_s=3600))
    verify_update(hour, dated(NOW_US - 3600 * 1_000_000), NOW_US)
    with pytest.raises(InvalidConfigUpdate, match="is good for 1 hours"):
        verify_update(hour, dated(NOW_US - 3601 * 1_000_000), NOW_US)


def test_a_config_of_an_earlier_version_needs_no_time() -> None:
    """Its text has no window, so that what is on its chain stays valid."""
    message = json.loads(PAPER.config.text)
    del message["limits"]["config_window_s"]
    earlier = ChannelConfig.parse(json.dumps(message))
    assert earlier.limits.config_window_s == 0
    assert json.loads(earlier.text) == message
    verify_update(earlier, dated(None), NOW_US)


def test_only_admins_of_the_channel_count() -> None:
    one = PAPER.admins["Org1MSP"]
    others: list[SigningIdentity] = [
        *PAPER.clients.values(),
        *PAPER.peers.values(),
        PaperOrganisation("Org2MSP").issue("admin", "admin"),
        PAPER.organisations["Org1MSP"].issue("second", "admin"),
    ]
    for other in others:
        assert not follows(PAPER.update([one, other])), other


def test_an_admin_counts_once() -> None:
    """Also where the policy asks for two of one organisation."""
    paper = PaperNetwork()
    policies = paper_policies({"Application/Admins": "AND('Org1MSP.admin', 'Org1MSP.admin')"})
    paper.config = replace(paper.config, policies=policies)
    one, second = paper.admins["Org1MSP"], paper.organisations["Org1MSP"].issue("second", "admin")
    verify_update(paper.config, paper.update([one, second]), NOW_US)
    with pytest.raises(PermissionDeniedError, match="/Channel/Application/Admins"):
        verify_update(paper.config, paper.update([one, one]), NOW_US)


@pytest.mark.parametrize("again", ["enrolled again", "signature flipped"])
def test_an_admin_counts_once_under_any_certificate(again: str) -> None:
    one = PAPER.admins["Org1MSP"]
    if again == "enrolled again":
        second = PAPER.organisations["Org1MSP"].issue("admin", "admin")
        assert second.fingerprint != one.fingerprint
        update = PAPER.update([one, second])
    else:
        update = PAPER.update([one, one])
        flipped = replace(update.signatures[0], der=PaperOrganisation.flipped(one.certificate))
        assert flipped != update.signatures[0]
        update = replace(update, signatures=(update.signatures[0], flipped))
    with pytest.raises(PermissionDeniedError, match="/Channel/Application/Admins"):
        verify_update(PAPER.config, update, NOW_US)


def test_a_signature_counts_for_its_own_update_alone() -> None:
    one, two, _ = PAPER.admins.values()
    first, second = (
        PAPER.update([one, two]),
        PAPER.update([one], policies=paper_policies({"Application/LifecycleEndorsement": "any.admin"})),
    )
    assert not follows(replace(second, signatures=(second.signatures[0], first.signatures[1])))


def test_admins_certificates_are_judged_at_the_blocks_time() -> None:
    later = NOW_US + 365 * 100 * DAY_US
    update = ConfigUpdate.build(replace(PAPER.config, sequence=1), list(PAPER.admins.values()), time_us=later)
    assert not follows(update, at_us=later)


@pytest.mark.parametrize("changes", [{"sequence": 0}, {"sequence": 2}, {"channel": "shard2"}])
def test_what_does_not_follow_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigUpdate):
        verify_update(PAPER.config, PAPER.update(**changes), NOW_US)


@pytest.mark.parametrize(
    ("sequence", "policy", "good"), [(2, "any.peer", True), (3, "any.peer", False), (1, "any.peer", False)]
)
def test_a_changed_chaincode_has_the_next_sequence(sequence: int, policy: str, *, good: bool) -> None:
    update = PAPER.update(chaincodes={"kv": ChaincodeDefinition("kv", sequence, "1.0", "0" * 64, policy)})
    if good:
        assert follows(update)
    else:
        with pytest.raises(InvalidConfigUpdate, match="has the sequence 2"):
            verify_update(PAPER.config, update, NOW_US)


def orderers_named(*numbers: int) -> dict[str, Node]:
    """Orderers of these numbers, those of the channel as they are."""
    return {name: PAPER.config.orderers.get(name) or _new_orderer(name) for name in (f"orderer{n}" for n in numbers)}


@lru_cache
def _new_orderer(name: str) -> Node:
    certificate = PAPER.organisations["OrdererMSP"].issue(name, "orderer").certificate
    return replace(PAPER.config.orderers["orderer1"], name=name, certificate=certificate, url=f"https://{name}:1")


def with_orderers(*numbers: int) -> ConfigUpdate:
    """The update after which these are the orderers."""
    config = PAPER.config.with_orderers(orderers_named(*numbers))
    return PAPER.update(orderers=config.orderers, departing_orderers=config.departing_orderers)


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 3, 4), (1, 2, 4)])
def test_one_orderer_may_come_and_one_may_go(numbers: tuple[int, ...]) -> None:
    assert follows(with_orderers(*numbers))


@pytest.mark.parametrize("numbers", [(1,), (1, 2, 3, 4, 5), (1, 4), (4,)])
def test_more_orderers_may_neither_come_nor_go_at_once(numbers: tuple[int, ...]) -> None:
    with pytest.raises(GridLedgerError, match=r"at most 1 members|one after another"):
        verify_update(PAPER.config, with_orderers(*numbers), NOW_US)


def test_the_only_orderer_cannot_be_replaced_in_one_update() -> None:
    paper = copy(PAPER)
    paper.config = replace(PAPER.config, orderers=orderers_named(1))
    after = paper.config.with_orderers(orderers_named(4))
    update = paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers)
    with pytest.raises(InvalidConfigUpdate, match="must stay"):
        verify_update(paper.config, update, NOW_US)
    assert verify_update(paper.config, paper.update(orderers=orderers_named(1, 4)), NOW_US)


@pytest.mark.parametrize(
    "departing",
    [{}, {"orderer2": 2}, {"orderer3": 4}, {"orderer4": 4}],
    ids=["none", "one that stays", "forged", "new"],
)
def test_whoever_is_taken_away_departs_and_nobody_else(departing: dict[str, int]) -> None:
    forged = {name: replace(_new_orderer("orderer4"), name=name) for name in departing}
    update = PAPER.update(orderers=orderers_named(1, 2), departing_orderers=forged)
    with pytest.raises(GridLedgerError, match="departing_orderers"):
        verify_update(PAPER.config, update, NOW_US)


def test_a_departing_orderer_stays_through_other_updates() -> None:
    paper = copy(PAPER)
    paper.config = verify_update(PAPER.config, with_orderers(1, 2), NOW_US)
    batch = replace(paper.config.batch, max_message_count=7)
    assert verify_update(paper.config, paper.update(batch=batch), NOW_US).departing_orderers
    dropped = paper.update(departing_orderers={})
    with pytest.raises(InvalidConfigUpdate, match="'departing_orderers' must have"):
        verify_update(paper.config, dropped, NOW_US)


def test_a_change_of_departing_orderers_alone_is_refused() -> None:
    update = PAPER.update(departing_orderers={"orderer4": _new_orderer("orderer4")})
    with pytest.raises(InvalidConfigUpdate, match="'departing_orderers' must have"):
        verify_update(PAPER.config, update, NOW_US)


def test_an_orderer_may_have_a_new_url_and_certificate() -> None:
    new = PAPER.organisations["OrdererMSP"].issue("orderer2", "orderer").certificate
    for change in ({"url": "https://elsewhere:1"}, {"certificate": new}, {"renewed": new}):
        changed = replace(PAPER.config.orderers["orderer2"], **change)  # type: ignore[arg-type]
        assert follows(PAPER.update(orderers={**PAPER.config.orderers, "orderer2": changed}))


def test_chaincodes_may_come_and_go() -> None:
    kw = ChaincodeDefinition("kw", 1, "1.0", "1" * 64, "any.peer")
    assert follows(PAPER.update(chaincodes={"kw": kw}, removed_chaincodes={"kv": 1}))
    assert follows(PAPER.update(chaincodes={**PAPER.config.chaincodes, "kw": kw}))


def test_a_new_chaincode_begins_with_sequence_1() -> None:
    kw = ChaincodeDefinition("kw", 2, "1.0", "1" * 64, "any.peer")
    with pytest.raises(InvalidConfigUpdate, match="'kw': the next definition has the sequence 1"):
        verify_update(PAPER.config, PAPER.update(chaincodes={**PAPER.config.chaincodes, "kw": kw}), NOW_US)


@pytest.mark.parametrize("remembered", [{}, {"kv": 2}, {"kv": 1, "kw": 1}])
def test_a_removed_chaincode_is_remembered_as_it_was(remembered: dict[str, int]) -> None:
    with pytest.raises(InvalidConfigUpdate, match=r"must have the last sequence of each .* wrong of k"):
        verify_update(PAPER.config, PAPER.update(chaincodes={}, removed_chaincodes=remembered), NOW_US)


def test_a_chaincode_that_comes_back_goes_on_from_its_sequence() -> None:
    """Else what peers endorsed under its first definition would fit the new one."""
    without = PAPER.config.with_chaincodes({})
    assert (without.removed_chaincodes, without.next_sequence("kv")) == ({"kv": 1}, 2)
    assert ChannelConfig.parse(without.text) == without
    for sequence in (1, 3):
        again = without.with_chaincodes({"kv": replace(PAPER.config.chaincodes["kv"], sequence=sequence)})
        update = ConfigUpdate.build(replace(again, sequence=1), ADMINS, time_us=NOW_US)
        with pytest.raises(InvalidConfigUpdate, match="'kv': the next definition has the sequence 2"):
            verify_update(without, update, NOW_US)
    again = without.with_chaincodes({"kv": replace(PAPER.config.chaincodes["kv"], sequence=2)})
    assert again.removed_chaincodes == {}
    verify_update(without, ConfigUpdate.build(replace(again, sequence=1), ADMINS, time_us=NOW_US), NOW_US)


def test_an_old_endorsement_does_not_fit_a_chaincode_that_came_back(tmp_path: Path) -> None:
    paper = PaperNetwork()
    peer = PaperPeer(tmp_path, paper)
    old = paper.transaction({"a": 1})
    definition = paper.config.chaincodes["kv"]
    for chaincodes in ({}, {"kv": replace(definition, sequence=2)}):
        paper.config = replace(paper.config.with_chaincodes(chaincodes), sequence=paper.config.sequence + 1)
        update = ConfigUpdate.build(paper.config, list(paper.admins.values()), time_us=NOW_US)
        assert peer.commit(update).codes == (TxValidationCode.VALID,)
    assert peer.commit(old).codes == (TxValidationCode.EXPIRED_CHAINCODE,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"signatures": {}}, "must be a list of at most 1000"),
        ({"signatures": [{}] * 1001}, "must be a list of at most 1000"),
        ({"signatures": [{}]}, "a config signature"),
        ({"config_update": "{}"}, "config_update"),
        ({"more": 1}, "a config transaction"),
    ],
)
def test_what_is_no_update_is_refused(change: dict[str, Any], says: str) -> None:
    message = {**json.loads(PAPER.update().to_bytes()), **change}
    with pytest.raises(MalformedMessage, match=says):
        ConfigUpdate.parse(json.dumps(message).encode())


def test_a_config_block_holds_one_update_and_nothing_else() -> None:
    update, transaction = PAPER.update(), PAPER.transaction({"k": 1})

    def block(*envelopes: ConfigUpdate | Any) -> Block:
        return PaperChain(PAPER).next(*envelopes).block

    assert is_config_block(block(update))
    assert is_config_block(PAPER.genesis)
    for other in (block(), block(transaction), block(update, transaction), block(update, update)):
        assert not is_config_block(other)
