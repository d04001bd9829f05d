"""Repair and Reshare: the same share again, or a new version for all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.vault_channel import (
    AUDITS,
    BASE,
    DEALER,
    HEAD,
    IDS,
    READER,
    SECURITY,
    STRANGER,
    Audits,
    VaultChannel,
    certificate_sha256,
    digest,
    holder,
    joining,
    manifest,
    served,
)

PREPARED = Audits("oil-1", 1, "m1-3")
RENEWED = Audits("oil-1", 1, "m1-3", series=1, count=8)


def repairing(channel: VaultChannel, caller: Any = BASE, **changes: Any) -> dict[str, Any]:
    """The argument of Repair, after a read."""
    read = channel.read(caller=caller, purpose="repair")
    return {"object": "oil-1", "version": 1, "read": read, "share": manifest()["shares"][3], **changes}


def resharing(channel: VaultChannel, caller: Any = HEAD, version: int = 2, **changes: Any) -> dict[str, Any]:
    """The argument of Reshare, after a read."""
    return manifest(version=version, **changes) | {"read": channel.read(caller=caller, purpose="reshare")}


def test_a_repair_changes_nothing_but_that_it_was_made() -> None:
    channel = VaultChannel().store()
    channel.call("ReportBad", served("oil-1", 1, "m1-3", channel.read(), "ab" * 32))
    cause = channel.stored("bad/oil-1/00000001/m1-3")
    argument = repairing(channel)
    repaired = channel.call("Repair", argument, BASE)
    assert channel.event() == ("Repaired", repaired)
    assert (repaired["holder"], repaired["repairs"], repaired["series"], repaired["audits"]) == ("m1-3", 1, 0, AUDITS)
    assert (repaired["read"], repaired["cause"]) == (argument["read"], cause)
    assert repaired["by"] == {"mspid": "BaseMSP", "certificate": certificate_sha256(BASE)}
    assert channel.call("GetRepair", {"object": "oil-1", "holder": "m1-3"}) == repaired | {"audit_secret": None}
    health = channel.call("GetHealth", {"object": "oil-1"})
    assert (health["live"], health["holders"][3]["repairs"]) == (6, 1)
    assert [item["purpose"] for item in channel.call("GetReads", {"object": "oil-1"})["items"]].count("repair") == 1


def test_unspent_audits_go_on_after_a_repair() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    wrong = {"object": "oil-1", "version": 1, "number": 0, "answer": digest("x")}
    channel.call("AuditShare", wrong, holder("m1-3"))
    channel.call("Repair", repairing(channel), BASE)
    told = channel.call("GetHealth", {"object": "oil-1"})["holders"][3]
    assert (told["live"], told["audits"]["left"], told["audits"]["failed"]) == (True, AUDITS - 1, 1)
    channel.refused("Challenge", PREPARED.challenge(0), "number: 0 is used", caller=BASE)
    channel.call("Challenge", PREPARED.challenge(1), BASE)


def test_new_audits_replace_the_old_ones() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    argument = repairing(channel, audits=8, audit_secret="AAAA")
    argument["share"] = argument["share"] | {"audit_root": RENEWED.root}
    repaired = channel.call("Repair", argument, BASE)
    assert (repaired["series"], repaired["audits"], repaired["audit_root"]) == (1, 8, RENEWED.root)
    assert "audit_secret" not in repaired
    assert channel.call("GetRepair", {"object": "oil-1", "holder": "m1-3"})["audit_secret"] == "AAAA"
    channel.refused("Challenge", PREPARED.challenge(1), "path: does not lead", caller=BASE)
    channel.call("Challenge", RENEWED.challenge(0), BASE)
    right = {"object": "oil-1", "version": 1, "number": 0, "answer": RENEWED.answer(0)}
    assert channel.call("AuditShare", right, holder("m1-3"))["outcome"] == "passed"
    assert channel.call("GetHealth", {"object": "oil-1"})["holders"][3]["audits"]["left"] == 7
    again = repairing(channel)
    channel.refused("Repair", again, f"share.audit_root: must stay {RENEWED.root}", caller=BASE)
    again["share"] = again["share"] | {"audit_root": RENEWED.root}
    assert channel.call("Repair", again, BASE)["repairs"] == 2
    items = channel.call("ListAudits", {"object": "oil-1", "holder": "m1-3"})["items"]
    assert [(item["series"], item["number"]) for item in items] == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "1004"}, "share.id: must stay 1003"),
        ({"holder": "m1-4"}, "share.id: must stay 1004"),
        ({"holder": "m2-1"}, "holder: m2-1 has no share of oil-1"),
        ({"bytes": 301}, "share.bytes: must stay 300"),
        ({"root": digest("x")}, "share.root: must stay"),
        ({"key_sha256": digest("x")}, "share.key_sha256: must stay"),
        ({"audit_root": digest("x")}, "share.audit_root: must stay"),
        ({"more": 1}, "share.more: is no field here"),
    ],
)
def test_another_share_is_no_repair(changes: dict[str, Any], message: str) -> None:
    channel = VaultChannel().store()
    argument = repairing(channel)
    channel.refused("Repair", argument | {"share": argument["share"] | changes}, message, caller=BASE)


def test_a_repair_is_refused_by_name() -> None:
    channel = VaultChannel().store()
    argument = repairing(channel)
    for caller in (READER, STRANGER, holder("m1-1")):
        channel.refused("Repair", argument, "caller: is neither the base nor a dealer", caller=caller)
    channel.refused("Repair", argument, "read: was granted to another caller", caller=HEAD)
    other = channel.read(caller=BASE, purpose="audit")
    message = "read: was granted with the purpose 'audit', not repair"
    channel.refused("Repair", argument | {"read": other}, message, caller=BASE)
    channel.refused("Repair", argument | {"audits": 4}, "audits: and audit_secret come together", caller=BASE)
    channel.refused("Repair", argument | {"audit_secret": "AAAA"}, "audits: and audit_secret come", caller=BASE)
    channel.refused("Repair", argument | {"version": 2}, "version: oil-1 has no version 2", caller=BASE)
    channel.refused("GetRepair", {"object": "oil-1", "holder": "m1-3"}, "holder: the share of m1-3 was never repaired")
    for caller in (HEAD, DEALER):
        channel.call("Repair", repairing(channel, caller), caller)
    channel.call("Revoke", {"holder": "m1-3", "reason": "lost"}, BASE)
    channel.refused("Repair", repairing(channel), "share.holder: m1-3 was revoked", caller=BASE)


def test_a_holder_with_another_id_is_for_reshare() -> None:
    channel = VaultChannel().store()
    channel.call("Join", joining("m1-3", id="5000"), holder("m1-3", x="5000"))
    channel.call("Admit", {"holder": "m1-3"}, BASE)
    message = "share.id: the id of m1-3 was 1003 and is 5000 now: Reshare gives it a share"
    channel.refused("Repair", repairing(channel), message, caller=BASE)


def test_reshare_makes_a_version_and_the_old_one_is_deleted_once_it_is_stored() -> None:
    channel = VaultChannel().store()
    argument = resharing(channel)
    kept = channel.call("Reshare", argument, HEAD)
    assert kept["version"] == 2
    assert (kept["read"], kept["by"]["id"], kept["owner"]["id"]) == (argument["read"], HEAD.id, HEAD.id)
    name, payload = channel.event()
    assert (name, payload["version"], "audit_secret" in payload) == ("Reshared", 2, False)
    told = channel.call("GetObject", {"object": "oil-1"})
    assert (told["version"], told["newest"], told["stored"], told["status"]) == (2, 2, 1, "open")
    assert channel.call("GetObject", {"object": "oil-1", "version": 1})["status"] == "stored"
    gone = {"object": "oil-1", "version": 1, "log_head": digest("l")}
    channel.refused("AckDeleted", gone, "version: 1 of oil-1 is not replaced", caller=holder("m1-1"))
    for who in SECURITY[:6]:
        channel.ack(who, version=2)
    assert channel.call("Settle", {"object": "oil-1"}, BASE)["version"] == 2
    channel.call("AckDeleted", gone, holder("m1-1"))
    channel.refused("AckDeleted", gone | {"version": 2}, "version: 2 of oil-1 is not replaced", caller=holder("m1-1"))
    assert channel.call("GetHealth", {"object": "oil-1", "version": 1})["holders"][1]["deleted"]
    assert channel.call("GetHealth", {"object": "oil-1"})["version"] == 2


def test_a_version_that_is_settled_late_does_not_come_before_a_later_one() -> None:
    channel = VaultChannel()
    channel.put()
    for version in (2, 3):
        channel.call("Reshare", resharing(channel, version=version), HEAD)
    for version in (3, 1):
        for who in SECURITY[:6]:
            channel.ack(who, version=version)
        channel.call("Settle", {"object": "oil-1", "version": version}, BASE)
    assert channel.call("GetObject", {"object": "oil-1"})["stored"] == 3


def test_a_read_of_a_version_that_was_replaced_is_none_to_reshare_by() -> None:
    channel = VaultChannel().store()
    old = channel.read(caller=BASE, purpose="reshare")
    channel.call("Reshare", resharing(channel), HEAD)
    for who in SECURITY[:6]:
        channel.ack(who, version=2)
    again = manifest(version=3) | {"read": old}
    channel.call("Settle", {"object": "oil-1"}, BASE)
    channel.refused("Reshare", again, "read: was granted of version 1, which 2 has replaced", caller=BASE)
    channel.call("Reshare", again | {"read": channel.read(caller=BASE, purpose="reshare")}, BASE)


def test_a_reshare_leaves_who_was_revoked_out() -> None:
    channel = VaultChannel().store()
    channel.call("Revoke", {"holder": "m1-3", "reason": "lost"}, BASE)
    assert channel.call("GetHealth", {"object": "oil-1"})["reshare_due"]
    channel.call("BeginCycle", {"cycle": 2}, BASE)
    all_of_them = resharing(channel, cycle=2)
    channel.refused("Reshare", all_of_them, "shares[3].holder: m1-3 is no active holder of M1", caller=HEAD)
    rest = [who for who in SECURITY if who != "m1-3"]
    channel.call("Reshare", resharing(channel, cycle=2, holders=rest), HEAD)
    assert not channel.call("GetHealth", {"object": "oil-1", "version": 2})["reshare_due"]


def test_a_reshare_is_refused_by_name() -> None:
    channel = VaultChannel().store()
    argument = resharing(channel)
    for caller in (READER, STRANGER, holder("m1-1")):
        channel.refused("Reshare", argument, "caller: is neither the owner, nor the base", caller=caller)
    channel.refused("Reshare", argument, "read: was granted to another caller", caller=BASE)
    channel.refused("Reshare", argument | {"read": channel.read(caller=HEAD)}, "not reshare", caller=HEAD)
    channel.refused("Reshare", argument | {"read": "00" * 32}, "is no read of oil-1", caller=HEAD)
    channel.refused("Reshare", {**argument, "readers": "any.client"}, "readers: is no field here", caller=HEAD)
    for wrong, message in (
        (resharing(channel, version=3), "head.version: must be 2"),
        (resharing(channel, cycle=2), "cycle: must be the present one"),
        (resharing(channel, length=1001), "length: the data of oil-1 stay as they are: 1000 bytes"),
        (resharing(channel, t=4), "t: must be that of M1"),
        (resharing(channel, ids=IDS | {"m1-2": "7"}), "shares[2].id: the id of m1-2 in this cycle is 1002"),
    ):
        channel.refused("Reshare", wrong, message, caller=HEAD)
    channel.call("Reshare", resharing(channel, BASE), BASE)
    channel.call("Abandon", {"object": "oil-1", "reason": "done"}, HEAD)
    channel.refused("Reshare", argument, "object: oil-1 was abandoned", caller=HEAD)


def test_a_reshare_may_take_another_profile() -> None:
    channel = VaultChannel().store(profile="article")
    assert channel.call("Reshare", resharing(channel, profile="sealed"), HEAD)["profile"] == "sealed"
