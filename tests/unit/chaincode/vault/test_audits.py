"""Challenge, AuditShare, CloseAudit: answers that a dealer committed to, spent one by one."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.sharing import commitment
from tests.support.vault_channel import (
    AUDITS,
    BASE,
    HEAD,
    READER,
    SECURITY,
    STRANGER,
    Audits,
    S,
    VaultChannel,
    digest,
    holder,
    joining,
    manifest,
)

PREPARED = Audits("oil-1", 1, "m1-2")


def answering(number: int = 0, answer: str | None = None, version: int = 1) -> dict[str, Any]:
    right = PREPARED.answer(number) if answer is None else answer
    return {"object": "oil-1", "version": version, "number": number, "answer": right}


def closing(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"object": "oil-1", "holder": "m1-2", "number": number, **more}


def test_a_holder_that_has_its_share_passes() -> None:
    channel = VaultChannel().store()
    audit = channel.call("Challenge", PREPARED.challenge(2), BASE)
    assert channel.event() == ("Challenged", audit)
    assert (audit["outcome"], audit["until_us"]) == (None, channel.now_us + 60 * S)
    passed = channel.call("AuditShare", answering(2), holder("m1-2"))
    assert channel.event() == ("Audited", passed)
    assert passed == audit | {"answer": PREPARED.answer(2), "outcome": "passed"}
    assert channel.call("GetAudit", closing(2)) == passed
    health = channel.call("GetHealth", {"object": "oil-1"})["holders"][2]
    last = {"number": 2, "outcome": "passed", "finding": None}
    told = {"series": 0, "used": 1, "left": AUDITS - 1, "passed": 1, "failed": 0, "unanswered": 0, "last": last}
    assert (health["audits"], health["live"]) == (told, True)
    channel.refused("AuditShare", answering(2), "number: 2 is not open: it is passed", caller=holder("m1-2"))
    channel.refused("CloseAudit", closing(2), "number: 2 was answered in time, and passed", caller=BASE)


def test_the_library_s_audits_are_the_contract_s() -> None:
    channel, share = VaultChannel(), bytes(range(256)) * 40
    nonces = [commitment.audit_nonce(b"secret", "m1-2", number) for number in range(AUDITS)]
    commitments = [commitment.audit_commitment(nonce, share) for nonce in nonces]
    argument = manifest()
    argument["shares"][2] |= {
        "root": commitment.root(share).hex(),
        "audit_root": commitment.audit_root(commitments).hex(),
    }
    channel.call("PutObject", argument, HEAD)
    acknowledged = {"object": "oil-1", "version": 1, "root": commitment.root(share).hex(), "log_head": digest("l")}
    channel.call("AckShare", acknowledged, holder("m1-2"))
    for number, nonce in enumerate(nonces):
        path = [each.hex() for each in commitment.audit_path(commitments, number)]
        told = {"nonce": nonce.hex(), "commitment": commitments[number].hex(), "path": path}
        channel.call("Challenge", closing(number) | told, BASE)
        answer = commitment.audit_answer(nonce, share).hex()
        assert channel.call("AuditShare", answering(number, answer), holder("m1-2"))["outcome"] == "passed"


def test_a_wrong_answer_stands_on_the_ledger() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    failed = channel.call("AuditShare", answering(0, digest("x")), holder("m1-2"))
    assert failed["outcome"] == "failed"
    assert not channel.call("GetHealth", {"object": "oil-1"})["holders"][2]["live"]
    channel.refused("AuditShare", answering(0), "number: 0 is not open: it is failed", caller=holder("m1-2"))
    channel.refused("CloseAudit", closing(0), "number: 0 is failed already", caller=BASE)
    found = channel.call("CloseAudit", closing(0, finding="dealer_at_fault"), BASE)
    assert channel.event() == ("AuditClosed", found)
    assert found == failed | {"finding": "dealer_at_fault"}
    assert channel.call("GetHealth", {"object": "oil-1"})["holders"][2]["live"]
    again = closing(0, finding="holder_away")
    channel.refused("CloseAudit", again, "number: 0 is failed already; what is left to say is one", caller=BASE)


def test_silence_is_told_after_a_minute_or_in_the_next_cycle() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    channel.refused("CloseAudit", closing(0), "number: 0 may be answered until 2026-", caller=BASE)
    late = channel.now_us + 61 * S
    message = "number: 0 was to be answered until 2026-"
    channel.refused("AuditShare", answering(0), message, caller=holder("m1-2"), time_us=late)
    closed = channel.call("CloseAudit", closing(0), BASE, late)
    assert (closed["outcome"], closed["finding"]) == ("unanswered", None)
    channel.refused("AuditShare", answering(0), "it is unanswered", caller=holder("m1-2"))
    assert not channel.call("GetHealth", {"object": "oil-1"})["holders"][2]["live"]
    channel.call("CloseAudit", closing(0, finding="holder_away"), BASE)
    assert channel.call("GetHealth", {"object": "oil-1"})["holders"][2]["live"]
    channel.call("Challenge", PREPARED.challenge(1), BASE)
    channel.call("BeginCycle", {"cycle": 2}, BASE)
    assert channel.call("CloseAudit", closing(1, finding="holder_at_fault"), BASE)["outcome"] == "unanswered"
    assert not channel.call("GetHealth", {"object": "oil-1"})["holders"][2]["live"]


def test_a_later_audit_outweighs_an_earlier_one() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    channel.call("AuditShare", answering(0, digest("x")), holder("m1-2"))
    channel.call("Challenge", PREPARED.challenge(1), BASE)
    channel.call("AuditShare", answering(1), holder("m1-2"))
    told = channel.call("GetHealth", {"object": "oil-1"})["holders"][2]
    assert told["live"]
    channel.call("CloseAudit", closing(0, finding="holder_at_fault"), BASE)
    assert channel.call("GetHealth", {"object": "oil-1"})["holders"][2] == told
    page = channel.call("ListAudits", {"object": "oil-1", "holder": "m1-2"})
    assert [item["outcome"] for item in page["items"]] == ["failed", "passed"]
    assert page["tally"] == {name: told["audits"][name] for name in page["tally"]}
    first = channel.call("ListAudits", {"object": "oil-1", "holder": "m1-2", "limit": 1})
    rest = channel.call("ListAudits", {"object": "oil-1", "holder": "m1-2", "bookmark": first["bookmark"]})
    assert first["items"] + rest["items"] == page["items"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": AUDITS}, "number: must lie within 0 and 3"),
        ({"number": -1}, "number: must lie within"),
        ({"number": 1}, "path: does not lead from this commitment, number 1 of 4"),
        ({"commitment": digest("x")}, "path: does not lead"),
        ({"path": []}, "path: does not lead"),
        ({"path": ["00" * 32] * 2}, "path: does not lead"),
        ({"path": ["00" * 32] * 11}, "path: must be an array of 0 to 10"),
        ({"path": ["x"]}, "path[0]: must be 64 hexadecimal digits"),
        ({"nonce": "x"}, "nonce: must be 64"),
        ({"holder": "m2-1"}, "holder: m2-1 has no share of oil-1"),
        ({"holder": "m1-8"}, "holder: m1-8 has not acknowledged its share"),
        ({"version": 2}, "version: must lie within 1 and 1"),
        ({"object": "oil-9"}, "object: there is no object"),
    ],
)
def test_a_wrong_challenge_is_refused(changes: dict[str, Any], message: str) -> None:
    VaultChannel().store().refused("Challenge", PREPARED.challenge(0) | changes, message, caller=BASE)


def test_a_number_is_used_once() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    channel.refused("Challenge", PREPARED.challenge(0), "number: 0 is used", caller=BASE)


def test_only_the_base_challenges_and_only_the_holder_answers() -> None:
    channel = VaultChannel().store()
    for caller in (HEAD, READER, STRANGER):
        channel.refused("Challenge", PREPARED.challenge(0), caller=caller)
        channel.refused("CloseAudit", closing(0), caller=caller)
    channel.refused("AuditShare", answering(0), "number: there is no challenge 0 of m1-2", caller=holder("m1-2"))
    channel.refused("CloseAudit", closing(0), "number: there is no challenge 0", caller=BASE)
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    channel.refused("AuditShare", answering(0), "there is no challenge 0 of m1-3", caller=holder("m1-3"))
    channel.refused("AuditShare", answering(0), "caller: is not the holder", caller=holder("m1-2", key=999))
    channel.refused("AuditShare", answering(0), "caller: the manifest has no share", caller=BASE)
    channel.refused("CloseAudit", closing(0, finding="guilty"), "finding: must be dealer_at_fault or", caller=BASE)


def test_a_revoked_holder_is_neither_challenged_nor_heard() -> None:
    channel = VaultChannel().store()
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    channel.call("Revoke", {"holder": "m1-2", "reason": "lost"}, BASE)
    channel.refused("AuditShare", answering(0), "holder: m1-2 was revoked", caller=holder("m1-2"))
    channel.refused("Challenge", PREPARED.challenge(1), "holder: m1-2 was revoked", caller=BASE)


def test_a_holder_with_another_id_is_not_challenged() -> None:
    channel = VaultChannel().store()
    channel.call("Join", joining("m1-2", id="5000"), holder("m1-2", x="5000"))
    channel.call("Admit", {"holder": "m1-2"}, BASE)
    channel.refused("Challenge", PREPARED.challenge(0), "holder: m1-2 has another id now", caller=BASE)


def test_a_share_that_was_deleted_is_not_audited() -> None:
    channel = VaultChannel().store()
    channel.call("Reshare", manifest(version=2) | {"read": channel.read(caller=HEAD, purpose="reshare")}, HEAD)
    for who in SECURITY[:6]:
        channel.ack(who, version=2)
    channel.call("Settle", {"object": "oil-1"}, BASE)
    channel.call("Challenge", PREPARED.challenge(0), BASE)
    channel.call("AckDeleted", {"object": "oil-1", "version": 1, "log_head": digest("l")}, holder("m1-2"))
    channel.refused("Challenge", PREPARED.challenge(1), "holder: m1-2 has deleted its share of version 1", caller=BASE)


def test_an_abandoned_object_is_not_audited() -> None:
    channel = VaultChannel().store()
    channel.call("Abandon", {"object": "oil-1", "reason": "done"}, HEAD)
    channel.refused("Challenge", PREPARED.challenge(0), "object: oil-1 was abandoned", caller=BASE)
