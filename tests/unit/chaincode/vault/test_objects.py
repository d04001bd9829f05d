"""PutObject, AckShare, Settle, AckDeleted, Abandon: what is stored, who says so, and who may put."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.contract.simulator.state import MemoryState
from tests.support.vault_channel import (
    BASE,
    DEALER,
    HEAD,
    HEADS,
    READER,
    SECURITY,
    STRANGER,
    TRANSFORMER,
    S,
    VaultChannel,
    acking,
    certificate_sha256,
    client,
    digest,
    holder,
    manifest,
)


def test_a_manifest_is_kept_as_it_was_given() -> None:
    channel = VaultChannel()
    argument = manifest()
    kept = channel.put()
    owner = {"mspid": "SecurityMSP", "id": HEAD.id, "certificate": certificate_sha256(HEAD)}
    added = {"version": 1, "spare": 1, "owner": owner, "read": None, "time_us": channel.now_us}
    of_object = {name: argument[name] for name in ("readers", "meta")}
    assert kept == {name: value for name, value in argument.items() if name not in of_object} | added
    name, payload = channel.event()
    assert name == "ObjectPut"
    assert payload == {name: value for name, value in kept.items() if name != "audit_secret"}
    told = channel.call("GetObject", {"object": "oil-1"})
    assert told == kept | of_object | {"newest": 1, "stored": None, "status": "open", "abandoned": None}


def test_what_may_be_left_out_is_filled_in() -> None:
    channel = VaultChannel()
    argument = manifest()
    del argument["meta"]
    channel.call("PutObject", argument, HEAD)
    assert channel.call("GetObject", {"object": "oil-1"})["meta"] == {}


def test_the_head_of_the_cycle_puts_and_a_dealer_of_its_organisation() -> None:
    channel = VaultChannel()
    channel.put("a", DEALER)
    for caller in (holder("m1-1"), holder("m2-0"), BASE, READER, STRANGER):
        channel.refused("PutObject", manifest("b"), "caller: objects of M1 are put by its head, m1-0", caller=caller)
    foreign = client("TransformerMSP", "d", 8, vault_role="dealer", vault_cluster="M1")
    channel.refused("PutObject", manifest("b"), "caller: objects of M1 are put by", caller=foreign)
    other = client("SecurityMSP", "d", 8, vault_role="dealer", vault_cluster="M2")
    channel.refused("PutObject", manifest("b"), "caller: objects of M1 are put by", caller=other)
    channel.call("BeginCycle", {"cycle": 2, "heads": {"M1": "m1-1"}}, BASE)
    channel.put("b", holder("m1-1"), cycle=2)
    channel.refused("PutObject", manifest("c", cycle=2), "by its head, m1-1", caller=HEAD)
    channel.call("Revoke", {"certificate": certificate_sha256(DEALER), "reason": "left"}, BASE)
    channel.refused("PutObject", manifest("c", cycle=2), "caller: this certificate was revoked", caller=DEALER)


def test_a_revoked_head_puts_nothing() -> None:
    channel = VaultChannel()
    channel.call("Revoke", {"holder": "m1-0", "reason": "stolen"}, BASE)
    channel.refused("PutObject", manifest(holders=SECURITY[1:]), "caller: objects of M1", caller=HEAD)


def test_layer_1_is_put_by_the_base_over_the_heads() -> None:
    channel = VaultChannel()
    channel.put("station", BASE, cluster="heads", holders=HEADS)
    for name in HEADS:
        channel.ack(name, "station")
    assert channel.call("Settle", {"object": "station"}, BASE)["status"] == "stored"
    argument = manifest("other", cluster="heads", holders=HEADS)
    channel.refused("PutObject", argument, "caller: objects of heads are put by the base", caller=HEAD)
    wrong = manifest("other", cluster="heads", holders=("m1-0", "m2-0", "m5-1"))
    channel.refused("PutObject", wrong, "shares[2].holder: m5-1 is no active holder of heads", caller=BASE)


def test_a_name_is_taken_once() -> None:
    channel = VaultChannel()
    channel.put()
    channel.refused("PutObject", manifest(), "object: oil-1 exists", caller=HEAD)
    channel.call("Abandon", {"object": "oil-1", "reason": "wrong file"}, HEAD)
    channel.refused("PutObject", manifest(), "object: oil-1 exists", caller=HEAD)


def test_a_manifest_of_another_cycle_t_or_cluster_is_refused() -> None:
    channel = VaultChannel()
    channel.refused("PutObject", manifest(cycle=2), "cycle: must be the present one, 1", caller=HEAD)
    channel.refused("PutObject", manifest(t=4), "t: must be that of M1 in this cycle, 5", caller=HEAD)
    few = manifest(holders=SECURITY[:6])
    channel.refused("PutObject", few, "n: must be 7 or more", caller=HEAD)
    channel.put("seven", holders=SECURITY[:7])
    strange = manifest(holders=(*SECURITY[:8], "m2-1"))
    channel.refused("PutObject", strange, "shares[8].holder: m2-1 is no active holder of M1", caller=HEAD)
    argument = manifest() | {"cluster": "M9"}
    channel.refused(
        "PutObject", argument | {"head": argument["head"] | {"cluster": "M9"}}, "M9 takes no part", caller=HEAD
    )


def test_an_acknowledgement_says_which_root_and_which_log() -> None:
    channel = VaultChannel()
    channel.put()
    ack = channel.ack("m1-3")
    assert ack == acking("m1-3") | {"holder": "m1-3", "time_us": channel.now_us}
    assert channel.last is not None
    assert channel.last.event is None
    assert set(channel.last.reads) == {
        *("object/oil-1", "version/oil-1/00000001", "holder/m1-3", "revoked/m1-3"),
    }
    assert list(channel.last.writes) == ["ack/oil-1/00000001/m1-3"]
    again = channel.call("AckShare", acking("m1-3") | {"log_head": digest("later")}, holder("m1-3"))
    acks = channel.call("GetAcks", {"object": "oil-1"})
    assert acks == {
        "object": "oil-1",
        "version": 1,
        "acks": [{n: again[n] for n in again if n not in ("object", "version")}],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object": "oil-9"}, "object: there is no object oil-9"),
        ({"object": "../oil"}, "object: must be a name"),
        ({"version": 2}, "version: oil-1 has no version 2"),
        ({"version": 0}, "version: must lie within 1"),
        ({"version": "1"}, "version: must be an integer"),
        ({"root": digest("other")}, "root: must be that of the manifest"),
        ({"root": "AB" * 32}, "root: must be 64 hexadecimal digits"),
        ({"log_head": "x"}, "log_head: must be 64 hexadecimal digits"),
        ({"log_head": None}, "log_head: must be 64 hexadecimal digits"),
        ({"holder": "m1-1"}, "holder: is no field here"),
    ],
)
def test_a_wrong_acknowledgement_is_refused(changes: dict[str, Any], message: str) -> None:
    channel = VaultChannel()
    channel.put()
    channel.refused("AckShare", acking("m1-1") | changes, message, caller=holder("m1-1"))


def test_only_the_holder_acknowledges() -> None:
    channel = VaultChannel()
    channel.put()
    channel.refused("AckShare", acking("m1-1"), "root: must be that", caller=holder("m1-2"))
    channel.refused("AckShare", acking("m1-1"), "caller: the manifest has no share", caller=holder("m2-1"))
    channel.refused("AckShare", acking("m1-1"), "caller: the manifest has no share", caller=READER)
    for caller in (holder("m1-1", mspid="StrangersMSP"), holder("m1-1", key=999)):
        channel.refused("AckShare", acking("m1-1"), "caller: is not the holder m1-1", caller=caller)


def test_an_object_is_stored_once_t_and_spare_holders_have_it() -> None:
    channel = VaultChannel()
    channel.put()
    for who in SECURITY[:5]:
        channel.ack(who)
    settled = channel.call("Settle", {"object": "oil-1"}, HEAD)
    assert settled == {"object": "oil-1", "version": 1, "status": "open", "acks": list(SECURITY[:5]), "needed": 6}
    assert channel.last is not None
    assert (channel.last.writes, channel.last.event) == ({}, None)
    channel.ack(SECURITY[5])
    settled = channel.call("Settle", {"object": "oil-1"}, HEAD)
    assert settled["status"] == "stored"
    assert channel.event() == ("Stored", settled)
    channel.ack(SECURITY[6])
    for caller in (BASE, HEAD, DEALER):
        assert channel.call("Settle", {"object": "oil-1"}, caller) == settled
        assert channel.last.event is None
    for caller in (READER, holder("m1-1"), STRANGER):
        channel.refused("Settle", {"object": "oil-1"}, "caller: is neither the base, nor the owner", caller=caller)
    assert channel.call("GetObject", {"object": "oil-1"})["status"] == "stored"


def test_who_has_deleted_its_share_does_not_count() -> None:
    channel = VaultChannel()
    channel.put()
    for who in SECURITY[:6]:
        channel.ack(who)
    channel.call("Reshare", manifest(version=2) | {"read": channel.read(caller=HEAD, purpose="reshare")}, HEAD)
    for who in SECURITY[:6]:
        channel.ack(who, version=2)
    assert channel.call("Settle", {"object": "oil-1"}, BASE)["status"] == "stored"
    channel.call("AckDeleted", {"object": "oil-1", "version": 1, "log_head": digest("l")}, holder("m1-1"))
    told = channel.call("Settle", {"object": "oil-1", "version": 1}, BASE)
    assert (told["status"], "m1-1" in told["acks"], len(told["acks"])) == ("open", False, 5)


def test_who_is_revoked_does_not_count() -> None:
    channel = VaultChannel()
    channel.put()
    for who in SECURITY[:6]:
        channel.ack(who)
    channel.call("Revoke", {"holder": SECURITY[2], "reason": "lost"}, BASE)
    assert channel.call("Settle", {"object": "oil-1"}, HEAD)["status"] == "open"
    channel.ack(SECURITY[6])
    assert SECURITY[2] not in channel.call("Settle", {"object": "oil-1"}, HEAD)["acks"]


def test_an_object_that_too_few_have_is_incomplete_after_a_time_and_abandoned_by_the_base() -> None:
    channel = VaultChannel()
    channel.put()
    for who in SECURITY[:4]:
        channel.ack(who)
    assert channel.call("Settle", {"object": "oil-1"}, BASE, channel.now_us + 290 * S)["status"] == "open"
    later = channel.now_us + 301 * S
    assert channel.call("Settle", {"object": "oil-1"}, BASE, later)["status"] == "incomplete"
    assert channel.call("GetObject", {"object": "oil-1"}, READER, later)["status"] == "incomplete"
    told = channel.call("Abandon", {"object": "oil-1", "reason": "incomplete"}, BASE)
    assert channel.event() == ("Abandoned", told)
    channel.refused("Settle", {"object": "oil-1"}, "object: oil-1 was abandoned: incomplete", caller=BASE)


def test_what_is_abandoned_is_acknowledged_and_read_no_more() -> None:
    channel = VaultChannel().store()
    for caller in (READER, DEALER, holder("m1-1"), STRANGER):
        channel.refused(
            "Abandon", {"object": "oil-1", "reason": "x"}, "caller: oil-1 is abandoned by its", caller=caller
        )
    channel.refused("Abandon", {"object": "oil-1", "reason": "x"}, "object: oil-1 is stored: only", caller=BASE)
    renewed = client("SecurityMSP", "m1-0", 77, vault_role="head")  # the same name, another certificate
    channel.call("Abandon", {"object": "oil-1", "reason": "done"}, renewed)
    channel.refused("AckShare", acking("m1-7"), "object: oil-1 was abandoned: done", caller=holder("m1-7"))
    channel.refused("RequestRead", {"object": "oil-1", "purpose": "x"}, "object: oil-1 was abandoned: done")
    channel.refused("Abandon", {"object": "oil-1", "reason": "x"}, "was abandoned: done", caller=HEAD)
    told = channel.call("AckDeleted", {"object": "oil-1", "version": 1, "log_head": digest("l")}, holder("m1-1"))
    assert channel.event() == ("ShareDeleted", told)
    assert told["holder"] == "m1-1"


def test_a_share_that_is_needed_is_not_deleted() -> None:
    channel = VaultChannel()
    channel.put()
    argument = {"object": "oil-1", "version": 1, "log_head": digest("l")}
    for caller in (holder("m1-1"), holder("m1-2")):
        channel.refused("AckDeleted", argument, "version: 1 of oil-1 is not replaced", caller=caller)
    channel.refused("AckDeleted", argument, "caller: the manifest has no share", caller=BASE)


def test_another_cluster_puts_too() -> None:
    channel = VaultChannel()
    channel.put("gas", holder("m2-0"), cluster="M2", holders=TRANSFORMER, profile="shamir")
    items = channel.call("ListObjects", {"cluster": "M2"})["items"]
    assert [item["object"] for item in items] == ["gas"]


def test_nothing_is_put_before_the_first_cycle() -> None:
    channel = VaultChannel(MemoryState())
    channel.refused("PutObject", manifest(), "cycle: none has begun", caller=HEAD)
