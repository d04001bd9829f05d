"""Join, Admit, ReportLost, Revoke: who becomes a holder, and who is one no more."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from gridledger.identity.signer import generate_key
from tests.support.vault_channel import (
    BASE,
    HEAD,
    IDS,
    READER,
    SECURITY,
    WEAK_FOR_3,
    VaultChannel,
    acking,
    certificate,
    certificate_sha256,
    client,
    cluster,
    holder,
    joining,
    kem_key,
    key_of,
    manifest,
    served,
)

P = 2**521 - 1


def newcomer(x: str = "5000", key: int = 700, mspid: str = "SecurityMSP", **attributes: str) -> Any:
    """The identity of a sensor that has not joined."""
    own = {"vault_role": "sensor", "vault_cluster": "M1", "vault_id": x, **attributes}
    return client(mspid, "m1-new", key, **own)


def joins(x: str = "5000", **changes: Any) -> dict[str, Any]:
    return joining("m1-0", holder="m1-new", id=x, kem_key=kem_key("new")) | changes


def test_a_sensor_joins_and_is_active_from_the_next_cycle() -> None:
    channel = VaultChannel()
    record = channel.call("Join", joins(), newcomer())
    assert channel.event() == ("Joined", record)
    assert record["public_key"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert (record["mspid"], record["role"]) == ("SecurityMSP", "sensor")
    assert record["certificate"] == certificate_sha256(newcomer())
    assert channel.call("ListJoins", {})["items"] == [record]
    kept = channel.call("Admit", {"holder": "m1-new"}, BASE)
    assert channel.event() == ("Admitted", kept)
    assert (kept["from_cycle"], kept["id"]) == (2, "5000")
    assert [each["public_key"] for each in kept["public_keys"]] == [record["public_key"]]
    told = channel.call("GetHolder", {"holder": "m1-new"})
    assert (told["record"], told["join"], told["active"], told["revoked"]) == (kept, None, False, None)
    channel.refused("Admit", {"holder": "m1-new"}, "has not joined, or is admitted already", caller=BASE)
    channel.call("BeginCycle", {"cycle": 2}, BASE)
    assert channel.call("GetHolder", {"holder": "m1-new"})["active"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holder": "M1-new"}, "holder: must be a name"),
        ({"holder": "base"}, "holder: base is no name of a holder"),
        ({"cluster": "M9"}, "cluster: there is no cluster M9"),
        ({"cluster": "heads"}, "cluster: nobody joins heads"),
        ({"cluster": "M2"}, "vault.cluster = 'M2'"),
        ({"id": "0"}, "id: is 0 in the field"),
        ({"id": str(P)}, "id: is 0 in the field"),
        ({"id": str(2**64)}, "id: must lie within 1 and 18446744073709551615"),
        ({"id": "05"}, "id: must be an integer as decimal text"),
        ({"id": 5000}, "id: must be an integer as decimal text"),
        ({"id": "-1"}, "id: must be an integer as decimal text"),
        ({"id": "٣"}, "id: must be an integer as decimal text"),
        ({"id": "9" * 201}, "id: must be an integer as decimal text"),
        ({"id": "5001"}, "vault.id = '5001'"),
        ({"kem_key": kem_key("m1-1")}, "kem_key: is taken: its key is that of m1-1"),
        ({"kem_key": "AA=="}, "kem_key: must be 32 to 2048 bytes in base64"),
        ({"kem_key": b64encode(bytes(34)).decode()[:-3] + "B=="}, "kem_key: must be"),
        ({"kem_key": "x" * 5000}, "kem_key: must be"),
        ({"url": "http://127.0.0.1:5210"}, "url: must be an address"),
        ({"url": "https://u:p@h"}, "url: must be an address"),
        ({"url": "https://h/" + "x" * 256}, "url: must be an address"),
        ({"url": None}, "url: must be an address"),
        ({"role": "base"}, "role: is no field here"),
    ],
)
def test_a_join_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    VaultChannel().refused("Join", joins() | changes, message, caller=newcomer())


def test_a_weak_id_is_refused_by_name() -> None:
    channel = VaultChannel()
    weak = WEAK_FOR_3
    caller = client("TransformerMSP", "x", 700, vault_role="sensor", vault_cluster="M2", vault_id=weak)
    argument = joining("m2-0", holder="m2-new", id=weak, kem_key=kem_key("new"))
    message = channel.refused("Join", argument, "is weak for t = 3", "draw another", caller=caller)
    assert message.startswith("id: 34323")


def test_what_is_taken_stays_taken() -> None:
    channel = VaultChannel()
    taken = joins(IDS["m1-1"])
    channel.refused("Join", taken, "id: is taken: 1001 is the id of m1-1", caller=newcomer(IDS["m1-1"]))
    channel.refused("Join", joins(), "certificate: is taken: its key is that of m1-1", caller=newcomer(key=101))
    channel.call("Revoke", {"holder": "m1-1", "reason": "lost"}, BASE)
    channel.refused("Join", taken, "caller: m1-1 was revoked in cycle 1: lost", caller=newcomer(IDS["m1-1"]))
    again = joining("m1-1")
    channel.refused("Join", again, "holder: m1-1 was revoked in cycle 1: lost", caller=holder("m1-1"))


def test_a_certificate_of_another_organisation_or_role_or_kind_of_key_does_not_join() -> None:
    channel = VaultChannel()
    channel.refused("Join", joins(), "cluster: M1 is of SecurityMSP", caller=newcomer(mspid="StrangersMSP"))
    channel.refused(
        "Join", joins(), "caller: its certificate must have vault.role", caller=newcomer(vault_role="dealer")
    )
    channel.refused("Join", joins(), "vault.cluster = 'M1'", caller=newcomer(vault_cluster="M2"))
    odd = newcomer()
    for text, message in (("", "cannot be read"), ("AAAA", "cannot be read"), ("?", "no base64")):
        changed = type(odd)(odd.id, odd.mspid, odd.role, odd.attributes, text)
        channel.refused("Join", joins(), message, caller=changed)
    ed25519 = certificate("m1-new", 0, generate_key("ed25519"))
    changed = type(odd)(odd.id, odd.mspid, odd.role, odd.attributes, ed25519)
    channel.refused("Join", joins(), "key is not of P-256", caller=changed)


def test_a_name_that_waits_is_not_taken_over() -> None:
    channel = VaultChannel()
    channel.call("Join", joins(), newcomer())
    channel.call("Join", joins(url="https://elsewhere:1"), newcomer())  # the same one may
    channel.refused("Join", joins("5001"), "waits to be admitted with another id", caller=newcomer("5001", 701))
    other = client("TransformerMSP", "x", 702, vault_role="sensor", vault_cluster="M2", vault_id="5002")
    argument = joins("5002", cluster="M2", kem_key=kem_key("other"))
    channel.refused("Join", argument, "holder: m1-new is of cluster M1", caller=other)


def test_another_sensor_does_not_take_the_name_of_who_is_admitted() -> None:
    """Else the true holder could join no more while the false join waits, but for a revocation of both."""
    channel = VaultChannel()
    other = newcomer("5001", 701)
    argument = joins("5001", holder="m1-1")
    channel.refused("Join", argument, "holder: m1-1 was admitted with the id 1001 and another key", caller=other)
    assert channel.stored("id/5001") is None
    renewed = holder("m1-1", key=800)
    channel.call("Join", joining("m1-1", url="https://new:1"), renewed)  # the same id with another key may
    channel.call("Admit", {"holder": "m1-1"}, BASE)
    for key in (800, key_of("m1-1")):  # and another id with a key that it has or had
        moved = holder("m1-1", key=key, x="5000")
        channel.call("Join", joining("m1-1", id="5000"), moved)


def test_a_new_key_counts_from_its_admission() -> None:
    channel = VaultChannel()
    channel.put()
    renewed = holder("m1-1", key=800)
    channel.refused("AckShare", acking("m1-1"), "caller: is not the holder m1-1", caller=renewed)
    channel.call("Join", joining("m1-1", kem_key=kem_key("renewed"), url="https://new:1"), renewed)
    channel.ack("m1-1")
    kept = channel.call("Admit", {"holder": "m1-1"}, BASE)
    assert (kept["from_cycle"], kept["url"], len(kept["public_keys"])) == (1, "https://new:1", 2)
    channel.call("AckShare", acking("m1-1"), renewed)
    channel.refused("AckShare", acking("m1-1"), "caller: is not the holder m1-1", caller=holder("m1-1"))


def test_a_certificate_with_the_same_key_needs_no_join() -> None:
    channel = VaultChannel()
    channel.put()
    known = holder("m1-1")
    other = type(known)(known.id, known.mspid, known.role, known.attributes, certificate("renewed", 101))
    channel.call("AckShare", acking("m1-1"), other)


def test_the_newest_eight_keys_stand() -> None:
    channel = VaultChannel()
    for number in range(10):
        channel.call("Join", joining("m1-1"), holder("m1-1", key=800 + number))
        kept = channel.call("Admit", {"holder": "m1-1"}, BASE)
    assert len(kept["public_keys"]) == 8


def test_a_holder_with_another_id_is_active_again_from_the_next_cycle() -> None:
    channel = VaultChannel()
    channel.store()
    moved = holder("m1-1", x="5000")
    channel.call("Join", joining("m1-1", id="5000"), moved)
    assert channel.call("Admit", {"holder": "m1-1"}, BASE)["from_cycle"] == 2
    channel.refused("AckShare", acking("m1-1"), "the manifest has no share for the id", caller=moved)
    channel.refused("AckShare", acking("m1-1"), "caller: is not the holder m1-1", caller=holder("m1-1"))
    health = channel.call("GetHealth", {"object": "oil-1"})
    assert health["reshare_due"]
    assert health["live"] == 5
    assert "m1-1" not in [each["holder"] for each in channel.call("RequestRead", reading())["holders"]]
    channel.call("BeginCycle", {"cycle": 2}, BASE)
    argument = manifest("oil-2", cycle=2)
    channel.refused("PutObject", argument, "shares[1].id: the id of m1-1 in this cycle is 5000", caller=holder("m1-0"))
    channel.call("PutObject", manifest("oil-2", cycle=2, ids={**IDS, "m1-1": "5000"}), holder("m1-0"))


def test_a_t_that_changed_meanwhile_is_judged_again_at_admission() -> None:
    known = VaultChannel()
    known.call("Join", joins(), newcomer())
    waiting = known.stored("join/m1-new") | {"id": WEAK_FOR_3}
    channel = known.with_values({"join/m1-new": waiting})
    channel.call("SetCluster", cluster("M1", 3, 1), BASE)
    message = f"holder: the id of m1-new: {WEAK_FOR_3[:60]}... is weak for t = 3"
    channel.refused("Admit", {"holder": "m1-new"}, message, caller=BASE)
    channel.call("SetCluster", cluster("M1", 4, 1), BASE)
    channel.call("Admit", {"holder": "m1-new"}, BASE)


def test_holders_and_the_base_report_who_is_lost() -> None:
    channel = VaultChannel()
    said = channel.call("ReportLost", {"holder": "m1-3", "reason": "no answer"}, holder("m1-2"))
    assert said == {"holder": "m1-3", "by": "m1-2", "reason": "no answer", "time_us": channel.now_us}
    assert channel.event() == ("Suspected", said)
    other = channel.call("ReportLost", {"holder": "m1-3", "reason": "silent"}, BASE)
    assert channel.call("GetHolder", {"holder": "m1-3"})["suspicions"] == [other, said]
    channel.refused("ReportLost", {"holder": "m2-1", "reason": "x"}, "holder: m2-1 is of M2", caller=holder("m1-2"))
    channel.refused("ReportLost", {"holder": "m1-3", "reason": "x"}, "caller: is neither the base", caller=READER)
    channel.refused("ReportLost", {"holder": "m9", "reason": "x"}, "holder: there is no holder m9", caller=BASE)
    channel.refused("ReportLost", {"holder": "m1-3", "reason": " "}, "reason: begins or ends", caller=BASE)
    channel.call("Revoke", {"holder": "m1-2", "reason": "lost"}, BASE)
    message = "caller: m1-2 was revoked in cycle 1: lost"
    channel.refused("ReportLost", {"holder": "m1-3", "reason": "x"}, message, caller=holder("m1-2"))


def test_a_reader_reports_a_holder_that_it_was_sent_to() -> None:
    channel = VaultChannel().store()
    read = channel.read()
    argument = {"holder": "m1-3", "reason": "other bytes under the right root", "object": "oil-1", "read": read}
    assert channel.call("ReportLost", argument)["by"] == certificate_sha256(READER)
    channel.refused("ReportLost", argument | {"holder": "m2-1"}, "holder: m2-1 has no share of oil-1")
    channel.refused("ReportLost", argument, "read: is no read", caller=holder("m1-2"))
    channel.refused("ReportLost", argument | {"read": "00" * 32}, "read: is no read")
    for half in ({"read": read}, {"object": "oil-1"}):
        channel.refused("ReportLost", {"holder": "m1-3", "reason": "x", **half}, "comes with the other of object and")


def test_a_revoked_holder_is_out_at_once() -> None:
    channel = VaultChannel().store(acks=6)
    channel.call("Join", joining("m1-3", url="https://new:1"), holder("m1-3"))
    revoked = channel.call("Revoke", {"holder": "m1-3", "reason": "stolen"}, BASE)
    assert channel.event() == ("Revoked", revoked)
    assert revoked == {"holder": "m1-3", "reason": "stolen", "cycle": 1, "time_us": channel.now_us}
    channel.refused("Admit", {"holder": "m1-3"}, "has not joined", caller=BASE)
    channel.refused("AckShare", acking("m1-3"), "holder: m1-3 was revoked in cycle 1: stolen", caller=holder("m1-3"))
    channel.refused("RequestRead", reading(), "caller: m1-3 was revoked", caller=holder("m1-3"))
    argument = manifest("oil-2")
    channel.refused("PutObject", argument, "shares[3].holder: m1-3 was revoked", caller=holder("m1-0"))
    assert "m1-3" not in [each["holder"] for each in channel.call("RequestRead", reading())["holders"]]
    channel.refused("Revoke", {"holder": "m1-3", "reason": "x"}, "is revoked already", caller=BASE)
    assert not channel.call("GetHolder", {"holder": "m1-3"})["active"]


def test_a_revoked_holder_is_no_owner_any_more() -> None:
    """The owner is a name; whoever stole the head's key would else abandon all that the head has put."""
    channel = VaultChannel().store()
    reads = {purpose: channel.read(caller=HEAD, purpose=purpose) for purpose in ("repair", "reshare")}
    channel.call("Revoke", {"holder": "m1-0", "reason": "stolen"}, BASE)
    share = manifest()["shares"][3]
    for function, argument in (
        ("Abandon", {"object": "oil-1", "reason": "x"}),
        ("Settle", {"object": "oil-1"}),
        ("Repair", {"object": "oil-1", "version": 1, "read": reads["repair"], "share": share}),
        ("Reshare", manifest(version=2, holders=SECURITY[1:]) | {"read": reads["reshare"]}),
        ("RequestRead", reading(purpose="reshare")),
        ("ReportBad", served("oil-1", 1, "m1-3", reads["repair"], "ab" * 32)),
    ):
        message = "caller: m1-0 was revoked in cycle 1: stolen"
        channel.refused(function, argument, message, caller=HEAD)
        channel.refused(function, argument, message, caller=holder("m1-0", key=77))
    of_another_msp = holder("m1-0", mspid="TransformerMSP")  # an id that another CA wrote says nothing of the holder
    channel.refused("Abandon", {"object": "oil-1", "reason": "x"}, "caller: oil-1 is abandoned", caller=of_another_msp)
    replaced = client("SecurityMSP", "m1-0", 78, vault_role="head")  # the same name, certified anew without the id
    channel.call("Abandon", {"object": "oil-1", "reason": "done"}, replaced)


def test_a_caller_s_certificate_is_revoked() -> None:
    channel = VaultChannel().store()
    read = channel.read()
    sha256 = certificate_sha256(READER)
    channel.call("Revoke", {"certificate": sha256, "reason": "left"}, BASE)
    channel.refused("RequestRead", reading(), "caller: this certificate was revoked by the base: left")
    assert channel.call("GetRead", {"object": "oil-1", "read": read})["reader_revoked"]
    own = certificate_sha256(BASE)
    channel.refused("Revoke", {"certificate": own, "reason": "x"}, "certificate: is the caller's own", caller=BASE)
    other = client("BaseMSP", "base2", 9, vault_role="base")
    channel.call("Revoke", {"certificate": own, "reason": "x"}, other)
    channel.refused("BeginCycle", {"cycle": 2}, "caller: this certificate was revoked", caller=BASE)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"reason": "x"}, "holder: name a holder, or the certificate"),
        ({"holder": "m1-1", "certificate": "00" * 32, "reason": "x"}, "one of the two"),
        ({"holder": "m9", "reason": "x"}, "holder: there is no holder m9"),
        ({"holder": "m1-1"}, "reason: is missing"),
        ({"holder": "m1-1", "reason": "x" * 257}, "reason: must be a string of 1 to 256"),
        ({"holder": "m1-1", "reason": "a\u202eb"}, "reason: has a character that nobody sees: U+202E"),
        ({"certificate": "AA" * 32, "reason": "x"}, "certificate: must be 64 hexadecimal digits"),
    ],
)
def test_a_revocation_that_cannot_be_is_refused(argument: dict[str, Any], message: str) -> None:
    VaultChannel().refused("Revoke", argument, message, caller=BASE)


def reading(name: str = "oil-1", purpose: str = "study") -> dict[str, Any]:
    return {"object": name, "purpose": purpose}
