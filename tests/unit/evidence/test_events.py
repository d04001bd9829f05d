"""The texts that devices prove, letter by letter: another implementation must write the same."""

from __future__ import annotations

from hashlib import sha256

from gridledger.contract import evidence
from gridledger.evidence import events


def test_an_event_is_this_text() -> None:
    body = '{"hz":49.98}'
    text = events.event_text(
        "section-plant", "pmu-7", 2, "ab" * 32, kind="frequency", time_us=17, body_sha256=events.text_hash(body)
    )
    assert text == (
        '{"channel":"section-plant","device":"pmu-7","seq":2,"prev":"' + "ab" * 32 + '","kind":"frequency",'
        '"time_us":17,"body_sha256":"' + sha256(b'{"hz":49.98}').hexdigest() + '"}'
    )


def test_a_batch_is_an_event_whose_body_is_this_text() -> None:
    body = events.batch_body(
        from_us=5, to_us=9, rows=2, root="r", sha256="s", uri="file:ж", synopsis={"b": [2, 1, 1.5, 2], "a": [0]}
    )
    assert body == (
        '{"from_us":5,"to_us":9,"rows":2,"root":"r","sha256":"s","uri":"file:ж","synopsis":{"b":[2,1,1.5,2],"a":[0]}}'
    )
    assert events.batch_text("c", "d", 1, events.NO_EVENT, from_us=5, body=body) == (
        '{"channel":"c","device":"d","seq":1,"prev":"' + "0" * 64 + '","kind":"batch","time_us":5,"body_sha256":"'
        + sha256(body.encode()).hexdigest() + '"}'
    )  # fmt: skip


def test_a_registration_is_this_text() -> None:
    assert events.registration_text("devices", "d", "cc", "04aa") == (
        '{"channel":"devices","device":"d","certificate_sha256":"cc","proof_key":"04aa"}'
    )


def test_a_salted_hash_has_the_salt_before_the_body() -> None:
    assert events.salted_hash(b"s" * 16, "ж") == sha256(b"s" * 16 + "ж".encode()).hexdigest()


def test_contracts_have_the_same_texts_and_none_of_the_ciphers() -> None:
    assert evidence.event_text is events.event_text
    assert events.BATCH not in events.KINDS
    assert set(events.PRIVATE_KINDS) < set(events.KINDS)
