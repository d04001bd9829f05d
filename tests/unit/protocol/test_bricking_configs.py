"""Updates that would stop their channel for good are refused at submission and where they are applied."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol.block import MAX_ENVELOPES
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config import ChaincodeDefinition, Organisation
from gridledger.protocol.config_rules import node_url
from gridledger.protocol.config_update import ConfigUpdate, InvalidConfigUpdate, verify_update
from gridledger.protocol.limits import MAX_ENTRY_BYTES, BatchLimits, TransactionLimits
from services.orderer.raft.interface import RaftSettings
from services.orderer.submission import check_submission
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, PaperPeer, paper_policies

MIB = 1024 * 1024
BEFORE = datetime.fromtimestamp(NOW_US / 1e6 - 1, UTC)


def policy(path: str, text: str) -> Callable[[PaperNetwork], dict[str, Any]]:
    return lambda paper: {"policies": paper_policies({path: text}, paper.config.policies)}


def acl(resource: str, path: str) -> Callable[[PaperNetwork], dict[str, Any]]:
    return lambda _: {"acls": {resource: path}}


def own(mspid: str, **changed: str) -> Callable[[PaperNetwork], dict[str, Any]]:
    """An organisation changes its own policies."""

    def change(paper: PaperNetwork) -> dict[str, Any]:
        entry = paper.config.organisations[mspid]
        there = replace(entry, policies={**entry.policies, **changed})
        return {"organisations": {**paper.config.organisations, mspid: there}}

    return change


def batch(**changed: int) -> Callable[[PaperNetwork], dict[str, Any]]:
    return lambda _: {"batch": BatchLimits(**changed)}


def limits(**changed: int) -> Callable[[PaperNetwork], dict[str, Any]]:
    return lambda _: {"limits": TransactionLimits(**changed)}


def node(part: str, name: str, **changed: Any) -> Callable[[PaperNetwork], dict[str, Any]]:
    def change(paper: PaperNetwork) -> dict[str, Any]:
        nodes = getattr(paper.config, part)
        return {part: {**nodes, name: replace(nodes[name], **changed)}}

    return change


def url(text: str) -> Callable[[PaperNetwork], dict[str, Any]]:
    return node("peers", "peer1", url=text)


def kv(**changed: Any) -> Callable[[PaperNetwork], dict[str, Any]]:
    return lambda paper: {"chaincodes": {"kv": replace(paper.config.chaincodes["kv"], sequence=2, **changed)}}


def named(part: str, name: str) -> Callable[[PaperNetwork], dict[str, Any]]:
    def change(paper: PaperNetwork) -> dict[str, Any]:
        parts = getattr(paper.config, part)
        return {part: {**parts, name: next(iter(parts.values()))}}

    return change


def roots_of_others(paper: PaperNetwork) -> dict[str, Any]:
    """The orderers' organisation gives itself another root and forgets the old one."""
    other = Organisation("OrdererMSP", (PaperOrganisation("OrdererMSP").root,), kind="orderer")
    return {"organisations": {**paper.config.organisations, "OrdererMSP": other}}


def orderers_revoked(paper: PaperNetwork) -> dict[str, Any]:
    revoked = paper.organisations["OrdererMSP"].crl(paper.orderers["orderer1"], paper.orderers["orderer2"])
    there = replace(paper.config.organisations["OrdererMSP"], crls=(revoked,))
    return {"organisations": {**paper.config.organisations, "OrdererMSP": there}}


def roots_that_ran_out(paper: PaperNetwork) -> dict[str, Any]:
    """Organisations whose admins must sign have a root that has run out, in the place of a good one."""
    late = {
        mspid: Organisation(mspid, (PaperOrganisation(mspid, root_not_after=BEFORE).root,))
        for mspid in ("Org1MSP", "Org2MSP")
    }
    return {"organisations": {**paper.config.organisations, **late}}


def certificate_of_a_client(paper: PaperNetwork) -> dict[str, Any]:
    return node("orderers", "orderer1", certificate=paper.client.certificate)(paper)


def large_config(paper: PaperNetwork) -> dict[str, Any]:
    """One that the channel's envelopes could hold once, and no update of it any more."""
    policy = f"OR('Org1MSP.peer'{' ' * 3000})"
    many = {f"kv{n}": ChaincodeDefinition(f"kv{n}", 1, "1.0", "0" * 64, policy) for n in range(80)}
    return {"chaincodes": {**paper.config.chaincodes, **many}, **limits(max_envelope_bytes=MIB // 4)(paper)}


BRICKS: dict[str, tuple[Callable[[PaperNetwork], dict[str, Any]], str]] = {
    "no message in a block": (batch(max_message_count=0), "'batch.max_message_count' must be from 1"),
    "more than a block holds": (batch(max_message_count=MAX_ENVELOPES + 1), "count' must be from 1 to 10000"),
    "no byte in a block": (batch(absolute_max_bytes=0), "'batch.absolute_max_bytes' must be from 1"),
    "no byte preferred": (batch(preferred_max_bytes=0), "'batch.preferred_max_bytes' must be from 1"),
    "more bytes than an entry": (batch(absolute_max_bytes=MAX_ENTRY_BYTES + 1), "bytes' must be from 1 to"),
    "prefers more than it takes": (batch(preferred_max_bytes=3 * MIB, absolute_max_bytes=MIB), "preferred_max"),
    "prefers a whole entry": (batch(preferred_max_bytes=16 * MIB), "allow batches of 16779216 bytes"),
    "an envelope as large as an entry": (limits(max_envelope_bytes=16 * MIB), "allow batches of 16777220 bytes"),
    "no time for a batch": (batch(batch_timeout_ms=0, min_interval_ms=0), "'batch.batch_timeout_ms' must be from 1"),
    "a block a day": (batch(batch_timeout_ms=86_400_000), "'batch.batch_timeout_ms' must be from 1 to 60000"),
    "blocks farther apart than the timeout": (batch(min_interval_ms=2001), "min_interval_ms' must be from 0 to 2000"),
    "no byte in an envelope": (limits(max_envelope_bytes=0), "'limits.max_envelope_bytes' must be from 1"),
    "no room for an update": (limits(max_envelope_bytes=4096), "raise limits.max_envelope_bytes"),
    "no room for an update in a block": (batch(absolute_max_bytes=4096, preferred_max_bytes=4096), "absolute_max"),
    "a config as large as an envelope": (large_config, "an update of this configuration may need"),
    "no time for a proposal": (limits(proposal_window_s=0), "'limits.proposal_window_s' must be at least 1"),
    "no time to sign an update": (limits(config_window_s=60), "'limits.config_window_s' must be at least 300"),
    "admins that are nobody": (policy("Application/Admins", "'ElsewhereMSP.admin'"), "Application/Admins, .* nobody"),
    "too few admins": (policy("Channel/Admins", "OutOf(2, 'Org1MSP.admin', 'A.admin')"), "nobody could change"),
    "orderers' admins that are nobody": (policy("Orderer/Admins", "'ElsewhereMSP.admin'"), "/Channel/Orderer/Admins"),
    "readers that are nobody": (policy("Channel/Readers", "'ElsewhereMSP.member'"), "/Channel/Readers, .* admits no"),
    "readers that are two": (policy("Channel/Readers", "ALL Readers"), "admits no client and no admin, .* gateway/Eva"),
    "readers without a peer": (policy("Application/Readers", "any.admin"), "admit the peers of Org1MSP, Org2MSP"),
    "readers without one's peers": (policy("Application/Readers", "'Org1MSP.member'"), "admit the peers of Org2MSP"),
    "readers that are peers alone": (policy("Application/Readers", "any.peer"), "Application/Readers, .* admits no"),
    "its own readers without its peers": (own("Org2MSP", Readers="'Org2MSP.admin'"), "admit the peers of Org2MSP"),
    "writers that are nobody": (policy("Application/Writers", "'ElsewhereMSP.member'"), "Application/Writers, .* no"),
    "writers without a peer": (policy("Channel/Writers", "any.client"), "no transaction from a gateway"),
    "an ACL that nobody meets alone": (acl("peer/Propose", "/Channel/Admins"), "asked for peer/Propose"),
    "an ACL that keeps peers from blocks": (acl("orderer/Deliver", "/Channel/Orderer/Readers"), "peers of Org1MSP, O"),
    "blocks that no orderer signs": (policy("Orderer/BlockValidation", "any.peer"), "one orderer of OrdererMSP"),
    "its own writers without its orderers": (own("OrdererMSP", Writers="'OrdererMSP.admin'"), "one orderer of Ord"),
    "endorsed by nobody": (kv(policy="'ElsewhereMSP.peer'"), "endorsement policy of kv"),
    "endorsed by clients": (kv(policy="AND('Org1MSP.peer', 'Org2MSP.client')"), "endorsement policy of kv"),
    "endorsed by orderers": (kv(policy="AND('Org1MSP.peer', 'OrdererMSP.peer')"), "endorsement policy of kv"),
    "endorsed under a policy that is none": (kv(policy="/Channel/Application/Kings"), "is no policy of the"),
    "endorsed under the orderers' policy": (kv(policy="/Channel/Orderer/Writers"), "is no policy of the"),
    "a package that is none": (kv(package="../../x"), "the package of kv"),
    "an engine that is none": (lambda _: {"consensus": "magic"}, "'consensus' must be one of raft"),
    "a chaincode of no name": (named("chaincodes", ""), "a chaincode's name must match"),
    "a chaincode of a folder's name": (named("chaincodes", "../kv"), "a chaincode's name must match"),
    "an organisation that no policy can name": (named("organisations", "Org 9"), "an MSP id must match"),
    "a node of an odd name": (named("peers", "a\nb"), "a node's name must match"),
    "a URL that is none": (url("https://[bad"), "the URL of peer1"),
    "a URL without TLS": (url("http://localhost:1"), "the URL of peer1"),
    "a URL with a user": (url("https://a@localhost:1"), "the URL of peer1"),
    "a URL with a path": (url("https://localhost:1/x"), "the URL of peer1"),
    "a port that is none": (url("https://localhost:99999"), "the URL of peer1"),
    "roots under which no orderer is a member": (roots_of_others, "leaves 0 of 3 orderers"),
    "roots that ran out": (roots_that_ran_out, "leaves OrdererMSP with a root that is valid now"),
    "most orderers revoked": (orderers_revoked, "leaves 1 of 3 orderers"),
    "an orderer with a client's certificate": (certificate_of_a_client, "new certificate of orderer1"),
}  # fmt: skip

SOUND: dict[str, Callable[[PaperNetwork], dict[str, Any]]] = {
    "one message in a block": batch(max_message_count=1),
    "blocks at once": batch(min_interval_ms=0, batch_timeout_ms=1),
    "as large as may be": lambda _: {
        "batch": BatchLimits(max_message_count=10_000, preferred_max_bytes=16 * MIB - 40_012),
        "limits": TransactionLimits(max_envelope_bytes=16 * MIB - 16),
    },
    "as small as may be": limits(max_envelope_bytes=128 * 1024),
    "writers of one organisation": policy("Application/Writers", "'Org1MSP.member'"),
    "readers by role": policy("Application/Readers", "OR(any.peer, any.admin)"),
    "an admin of either": policy("Application/Admins", "OR('Org1MSP.admin', 'ElsewhereMSP.admin')"),
    "endorsed by peers that are to come": kv(policy="AND('Org1MSP.peer', OutOf(2, 'Org2MSP.peer', 'Org2MSP.peer'))"),
    "endorsed by a majority of the organisations": kv(policy="MAJORITY Endorsement"),
    "endorsed as the channel says": kv(policy="/Channel/Application/Endorsement"),
    "an ACL for admins": acl("gateway/Evaluate", "/Channel/Application/Writers"),
    "its own admins are two": own("Org2MSP", Admins="OutOf(2, 'Org2MSP.admin', 'Org2MSP.admin')"),
    "a port left out": url("https://peer.example"),
    "an address of six": url("https://[::1]:7051"),
}


@pytest.mark.parametrize(("change", "says"), BRICKS.values(), ids=BRICKS)
def test_what_would_stop_the_channel_is_refused(
    change: Callable[[PaperNetwork], dict[str, Any]], says: str, tmp_path: Path
) -> None:
    paper = PaperNetwork()
    update = paper.update(**change(paper))
    with pytest.raises(GridLedgerError, match=says):
        check_submission(update.to_bytes(), paper.config, NOW_US)
    peer = PaperPeer(tmp_path, paper)
    assert peer.commit(update).codes == (TxValidationCode.INVALID_CONFIG_TRANSACTION,)
    assert peer.commit(paper.transaction({"a": 1})).codes == (TxValidationCode.VALID,)


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_unusual_values_that_stop_nothing_are_taken(change: Callable[[PaperNetwork], dict[str, Any]]) -> None:
    paper = PaperNetwork()
    update = paper.update(**change(paper))
    check_submission(update.to_bytes(), paper.config, NOW_US)


def test_a_config_beyond_its_bound_is_refused() -> None:
    config = PaperNetwork().config
    large = {**config.organisations, "Org1MSP": Organisation("Org1MSP", ("x" * MIB,))}
    with pytest.raises(MalformedMessage, match="at most 1048576 bytes"):
        replace(config, organisations=large).check()


@pytest.mark.parametrize(("roles", "good"), [("admin peer client", True), ("admin peer client orderer", False)])
def test_no_more_admins_are_needed_than_are_judged(roles: str, *, good: bool) -> None:
    paper = PaperNetwork(organisations=26)
    text = f"AND({', '.join(f'all.{role}' for role in roles.split())})"
    changed = replace(paper.config, policies=paper_policies({"Application/Admins": text}))
    with nullcontext() if good else pytest.raises(MalformedMessage, match="nobody could change"):
        changed.check()


def test_an_entry_is_bounded_as_the_config_assumes() -> None:
    assert RaftSettings().max_entry_bytes == MAX_ENTRY_BYTES


def test_a_certificate_that_ran_out_stops_no_update() -> None:
    """Two of three orderers are late with their renewal: each may be renewed, one after the other."""
    paper = PaperNetwork()
    issue = paper.organisations["OrdererMSP"].issue
    nodes = dict(paper.config.orderers)
    for name in ("orderer1", "orderer2"):
        nodes[name] = replace(nodes[name], certificate=issue(name, "orderer", not_after=BEFORE).certificate)
    paper.config = replace(paper.config, orderers=nodes)
    renewed = {"orderer1": replace(nodes["orderer1"], renewed=issue("orderer1", "orderer").certificate)}
    for changed in ({}, renewed):
        verify_update(paper.config, paper.update(orderers={**nodes, **changed}), NOW_US)
    late = replace(nodes["orderer3"], certificate=issue("orderer3", "orderer", not_after=BEFORE).certificate)
    with pytest.raises(InvalidConfigUpdate, match="new certificate of orderer3"):
        verify_update(paper.config, paper.update(orderers={**nodes, "orderer3": late}), NOW_US)


def test_a_removal_leaves_a_majority_of_sound_orderers() -> None:
    """Of three orderers one is late with its renewal: it may go, and neither of the others."""
    paper = PaperNetwork()
    nodes = dict(paper.config.orderers)
    late = paper.organisations["OrdererMSP"].issue("orderer3", "orderer", not_after=BEFORE).certificate
    nodes["orderer3"] = replace(nodes["orderer3"], certificate=late)
    paper.config = replace(paper.config, orderers=nodes)

    def without(gone: str) -> ConfigUpdate:
        after = paper.config.with_orderers({name: node for name, node in nodes.items() if name != gone})
        return paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers)

    assert verify_update(paper.config, without("orderer3"), NOW_US)
    with pytest.raises(InvalidConfigUpdate, match="leaves 1 of 2 orderers"):
        verify_update(paper.config, without("orderer1"), NOW_US)


def test_addresses_are_judged_alike_by_all_versions_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.parse._check_bracketed_netloc", lambda _: None, raising=False)  # as before 3.11.4
    monkeypatch.setattr("urllib.parse._check_bracketed_host", lambda _: None, raising=False)
    for address in ("[::::]", "[1.2.3.4]", "[::1%1]"):
        with pytest.raises(MalformedMessage, match="https://HOST:PORT"):
            node_url("peer1", f"https://{address}:7051")
    assert node_url("peer1", "https://[fe80::1]:7051")
