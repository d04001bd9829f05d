"""RequestRead, ReportBad, GetRead: who may read, until when, and the proof against a holder."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gridledger import jsontext
from gridledger.identity.low_s import P256_ORDER
from gridledger.identity.signer import sign_p256
from tests.support.vault_channel import (
    BASE,
    DEALER,
    HEAD,
    READER,
    SECURITY,
    STRANGER,
    TRANSFORMER,
    S,
    VaultChannel,
    certificate_sha256,
    client,
    holder,
    joining,
    kem_key,
    key_of,
    manifest,
    private_key,
    root_of,
    served,
)

OTHER = "ab" * 32


def asking(purpose: str = "study", **more: Any) -> dict[str, Any]:
    return {"object": "oil-1", "purpose": purpose, **more}


def test_a_grant_says_who_holds_what_and_until_when() -> None:
    channel = VaultChannel().store()
    told = channel.call("RequestRead", asking("fault of 2026-11"))
    assert [each["holder"] for each in told["holders"]] == list(SECURITY)
    first = told["holders"][0]
    assert (first["id"], first["bytes"], first["root"]) == ("1000", 300, root_of("oil-1", 1, "m1-0"))
    assert (first["url"], first["kem_key"]) == ("https://127.0.0.1:5210/holders/m1-0", kem_key("m1-0"))
    assert first["public_key"].startswith("-----BEGIN PUBLIC KEY")
    assert (told["version"], told["until_s"], told["until_us"]) == (1, 60, channel.now_us + 60 * S)
    name, payload = channel.event()
    reader = {"mspid": "OperatorsMSP", "certificate": certificate_sha256(READER), "holder": None}
    entry = {"object": "oil-1", "version": 1, "reader": reader, "purpose": "fault of 2026-11"}
    entry |= {"granted_us": channel.now_us, "until_us": told["until_us"], "repairs": {}}
    assert (name, payload) == ("ReadGranted", {"read": told["read"], **entry})
    assert channel.call("GetReads", {"object": "oil-1"})["items"] == [payload]
    found = channel.call("GetRead", {"object": "oil-1", "read": told["read"]})
    assert found == payload | {"holders": told["holders"], "reader_revoked": False, "serve": None}


@pytest.mark.parametrize(
    ("caller", "purpose", "message"),
    [
        (READER, "study", None),
        (HEAD, "study", None),
        (BASE, "study", "caller: may not read oil-1; its readers are OR("),
        (DEALER, "study", "caller: may not read oil-1"),
        (holder("m1-1"), "study", "caller: may not read oil-1"),
        (STRANGER, "study", "caller: may not read oil-1"),
        (BASE, "repair", None),
        (BASE, "reshare", None),
        (BASE, "audit", None),
        (HEAD, "repair", None),
        (DEALER, "reshare", None),
        (HEAD, "audit", "purpose: audit is for the base alone; tell yours in other words"),
        (READER, "repair", "purpose: repair is for the base, the owner and dealers alone"),
        (READER, "reshare", "purpose: reshare is for the base, the owner and dealers alone"),
        (STRANGER, "repair", "purpose: repair is for the base"),
        (client("StrangersMSP", vault_role="reader"), "study", "caller: may not read oil-1"),
        (client("OperatorsMSP", vault_role="sensor"), "study", "caller: may not read oil-1"),
        (client("OperatorsMSP", role="peer", vault_role="reader"), "study", "caller: may not read oil-1"),
    ],
)
def test_readers_are_those_that_the_policy_names(caller: Any, purpose: str, message: str | None) -> None:
    channel = VaultChannel().store()
    if message is None:
        channel.call("RequestRead", asking(purpose), caller)
        return
    channel.refused("RequestRead", asking(purpose), message, caller=caller)
    assert channel.call("GetReads", {"object": "oil-1"})["items"] == []


def test_the_owner_may_reshare_when_it_is_head_no_more() -> None:
    channel = VaultChannel().store()
    channel.call("BeginCycle", {"cycle": 2, "heads": {"M1": "m1-1"}}, BASE)
    channel.read(caller=HEAD, purpose="reshare")
    channel.read(caller=holder("m1-1"), purpose="reshare")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (asking(purpose=""), "purpose: must be a string of 1 to 256"),
        (asking(purpose="x" * 257), "purpose: must be a string"),
        (asking(version=2), "version: must lie within 1 and 1"),
        ({"object": "oil-9", "purpose": "x"}, "object: there is no object oil-9"),
        ({"object": "oil-1"}, "purpose: is missing"),
    ],
)
def test_a_wrong_request_is_refused(argument: dict[str, Any], message: str) -> None:
    VaultChannel().store().refused("RequestRead", argument, message)


def test_the_newest_stored_version_is_read() -> None:
    channel = VaultChannel().store()
    read = channel.read(caller=HEAD, purpose="reshare")
    channel.call("Reshare", manifest(version=2) | {"read": read}, HEAD)
    assert channel.call("RequestRead", asking())["version"] == 1
    assert channel.call("RequestRead", asking(version=2))["version"] == 2
    for who in SECURITY[:6]:
        channel.ack(who, version=2)
    channel.call("Settle", {"object": "oil-1"}, BASE)
    assert channel.call("RequestRead", asking())["version"] == 2
    channel.refused("RequestRead", asking(version=1), "version: 1 of oil-1 is replaced by 2")


def test_a_holder_is_told_whether_it_may_serve() -> None:
    channel = VaultChannel().store()
    read = channel.read(caller=HEAD)
    argument = {"object": "oil-1", "read": read}

    def serve(caller: Any) -> Any:
        return channel.call("GetRead", argument, caller)["serve"]

    assert serve(holder("m1-3")) == {"holder": "m1-3", "allowed": True, "why": None}
    assert serve(holder("m2-1")) is None
    assert serve(READER) is None
    assert serve(holder("m1-3", key=999)) == {"holder": "m1-3", "allowed": False, "why": "the caller is not m1-3"}
    channel.call("Revoke", {"holder": "m1-3", "reason": "x"}, BASE)
    assert serve(holder("m1-3"))["why"] == "m1-3 is revoked"
    channel.call("Revoke", {"holder": "m1-0", "reason": "x"}, BASE)
    assert serve(holder("m1-4")) == {"holder": "m1-4", "allowed": False, "why": "the reader is revoked"}
    channel.refused("GetRead", {"object": "oil-1", "read": "00" * 32}, "read: " + "00" * 32 + " is no read of oil-1")


def test_nobody_serves_what_was_abandoned() -> None:
    channel = VaultChannel().store()
    read = channel.read()
    channel.call("Abandon", {"object": "oil-1", "reason": "done"}, HEAD)
    found = channel.call("GetRead", {"object": "oil-1", "read": read}, holder("m1-3"))["serve"]
    assert found == {"holder": "m1-3", "allowed": False, "why": "oil-1 was abandoned"}


def test_a_holder_proves_against_itself() -> None:
    channel = VaultChannel().store()
    read = channel.read()
    argument = served("oil-1", 1, "m1-3", read, OTHER)
    report = channel.call("ReportBad", argument)
    assert channel.event() == ("BadShare", report)
    told = {"object": "oil-1", "version": 1, "holder": "m1-3", "read": read, "root": OTHER}
    by = {"mspid": "OperatorsMSP", "certificate": certificate_sha256(READER)}
    assert report == told | argument | {"by": by, "time_us": channel.now_us}
    health = channel.call("GetHealth", {"object": "oil-1"})
    assert (health["live"], health["enough"], health["readable"]) == (5, False, True)
    assert [each["holder"] for each in health["holders"] if each["bad"]] == ["m1-3"]
    channel.refused("ReportBad", argument, "answer.holder: m1-3 was reported for this version already")


def test_the_base_reports_by_a_read_of_its_own() -> None:
    channel = VaultChannel().store()
    read = channel.read(caller=BASE, purpose="audit")
    channel.call("ReportBad", served("oil-1", 1, "m1-3", read, OTHER), BASE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": root_of("oil-1", 1, "m1-3")}, "answer.root: is the one that m1-3 committed to"),
        ({"kind": "fragment_served"}, "answer.kind: must be share_served"),
        ({"channel": "other"}, "answer.channel: must be simulate"),
        ({"object": "oil-2"}, "is no read of oil-2"),
        ({"version": 2}, "answer.version: the read was granted of version 1"),
        ({"version": True}, "answer.version: must be an integer"),
        ({"holder": "m2-1"}, "holder: m2-1 has no share of oil-1"),
        ({"holder": "M1"}, "answer.holder: must be a name"),
        ({"read": "00" * 32}, "read: " + "00" * 32 + " is no read of oil-1"),
        ({"more": 1}, "answer.more: is no field here"),
        ({"key": 999}, "signature: is not m1-3's under this answer"),
    ],
)
def test_what_is_no_proof_is_refused(changes: dict[str, Any], message: str) -> None:
    channel = VaultChannel().store()
    argument = served("oil-1", 1, "m1-3", channel.read(), OTHER, **changes)
    channel.refused("ReportBad", argument, message)


def test_another_text_or_signature_is_no_proof() -> None:
    channel = VaultChannel().store()
    read = channel.read()
    argument = served("oil-1", 1, "m1-3", read, OTHER)
    text = argument["answer"]

    def signed(answer: str, signature: bytes | None = None) -> dict[str, str]:
        made = sign_p256(private_key(key_of("m1-3")), answer.encode()) if signature is None else signature
        return {"answer": answer, "signature": b64encode(made).decode()}

    members = json.loads(text)
    spaced, turned = json.dumps(members), jsontext.dumps(dict(reversed(members.items()))).decode()
    doubled = text.replace('{"kind"', '{"kind":"x","kind"')
    for answer in (spaced, turned, doubled):
        channel.refused("ReportBad", signed(answer), "answer: must have its members in the order kind, channel")
    for answer in ("", "{", "[" * 1000, "[]", "nul", "é", "x" * 1025, "1" * 1000):
        channel.refused("ReportBad", signed(answer), "answer")
    for given in (None, "", "x", "AAAA", "A" * 200):
        channel.refused("ReportBad", {"answer": text, "signature": given}, "signature: must be 8 to 72 bytes")
    channel.refused("ReportBad", signed(text, b"\x30" * 20), "signature: is not m1-3's")
    high = high_s(sign_p256(private_key(key_of("m1-3")), text.encode()))
    channel.refused("ReportBad", signed(text, high), "signature: is not m1-3's")
    channel.refused("ReportBad", argument, "read: was granted to another caller", caller=HEAD)
    channel.refused("ReportBad", argument, "read: was granted to another caller", caller=BASE)
    channel.call("ReportBad", argument)


def high_s(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, P256_ORDER - s)


def test_keys_count_while_they_were_the_holder_s() -> None:
    channel = VaultChannel().store()
    read = channel.read()
    channel.call("Join", joining("m1-3"), holder("m1-3", key=800))
    channel.call("Admit", {"holder": "m1-3"}, BASE)
    later = channel.now_us + 100 * S
    channel.now_us = later
    channel.call("ReportBad", served("oil-1", 1, "m1-3", read, OTHER))  # with the key of then
    other = channel.read()
    argument = served("oil-1", 1, "m1-3", other, OTHER)
    repaired = channel.read(caller=BASE, purpose="repair")
    share = manifest()["shares"][3]
    channel.call("Repair", {"object": "oil-1", "version": 1, "read": repaired, "share": share}, BASE)
    channel.refused("ReportBad", argument, "signature: is not m1-3's")
    now = channel.read()
    channel.call("ReportBad", served("oil-1", 1, "m1-3", now, OTHER, key=800))


def test_an_old_proof_does_not_count_against_a_repaired_share() -> None:
    channel = VaultChannel().store()
    first, second = channel.read(), channel.read()
    channel.call("ReportBad", served("oil-1", 1, "m1-3", first, OTHER))
    read = channel.read(caller=BASE, purpose="repair")
    channel.call("Repair", {"object": "oil-1", "version": 1, "read": read, "share": manifest()["shares"][3]}, BASE)
    for old in (first, second):
        argument = served("oil-1", 1, "m1-3", old, OTHER)
        channel.refused("ReportBad", argument, "answer.read: the share of m1-3 was repaired since")
    assert channel.call("RequestRead", asking())["holders"][3]["holder"] == "m1-3"
    channel.call("ReportBad", served("oil-1", 1, "m1-3", channel.read(), OTHER))


def test_another_cluster_s_holder_has_no_rights_here() -> None:
    channel = VaultChannel().store()
    channel.put("gas", holder("m2-0"), cluster="M2", holders=TRANSFORMER)
    channel.refused("RequestRead", {"object": "gas", "purpose": "repair"}, "purpose: repair is for", caller=HEAD)
