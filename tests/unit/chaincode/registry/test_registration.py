"""RegisterDevice: what a record says, that its key is proved, and that no name and no key come twice."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from gridledger.evidence import events, p256
from tests.support.contract_channel import CHANNEL, START_US, certificate, client
from tests.support.registry_channel import (
    AUTHORITY,
    CERTIFICATE,
    KYIV,
    LVIV,
    RegistryChannel,
    certificate_sha256,
    proof_key,
    prove,
    registering,
    rotating,
    secret,
)


def test_a_record_is_kept_as_it_was_given() -> None:
    channel = RegistryChannel()
    record = channel.call("RegisterDevice", registering(), KYIV)
    given = {name: value for name, value in registering().items() if name not in ("certificate", "proof")}
    assert channel.last is not None
    kept = {"certificate_sha256": certificate_sha256(), "mspid": "KyivMSP", "key_number": 1, "status": "active"}
    assert record == given | kept | {"epoch": 0, "time_us": START_US + 1, "tx": record["tx"]}
    assert channel.event() == ("DeviceRegistered", record)
    key = {"proof_key": proof_key("pmu-1"), "certificate_sha256": certificate_sha256(), "proof": registering()["proof"]}
    assert channel.last.writes == {
        "device/pmu-1": record,
        "active/00000000/pmu-1": True,
        f"key/{proof_key('pmu-1')[2:66]}": {"device": "pmu-1", "number": 1},
        "keyed/pmu-1/000001": key | {"time_us": record["time_us"], "tx": record["tx"]},
    }
    assert channel.call("GetDevice", {"device": "pmu-1"}) == record | {"revoked": None}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("device", "pmu/1", "device: must be a name"),
        ("device", "", "device: must be a name"),
        ("device", "p" * 65, "device: must be a name"),
        ("device", "pmé", "device: must be a name"),
        ("device", ..., "device: is missing"),
        ("colour", "red", "colour: is no field here"),
        ("type", "toaster", "type: must be pmu or ied or"),
        ("section", "a b", "section: must be a name"),
        ("site", "", "site: must be a string of 1 to 128"),
        ("site", "Kyiv ", "site: begins or ends"),
        ("vendor", 7, "vendor: must be a string"),
        ("model", "m" * 129, "model: must be a string"),
        ("proof_key", 7, "proof_key: must be 130 hex digits"),
        ("proof_key", "04" + "11" * 64, "proof_key: is no point of P-256"),
        ("proof_key", "02" + "11" * 64, "proof_key: is no point of P-256"),
        ("proof_key", "00", "proof_key: must be 130 hex digits"),
        ("certificate", "", "certificate: must be DER in base64"),
        ("certificate", "AAA", "certificate: must be DER in base64"),
        ("certificate", "QUFB", "certificate: the certificate cannot be read"),
        ("certificate", base64.b64encode(b"0" * 8193).decode(), "certificate: must be DER in base64, at most 8192"),
        ("proof", "00", "proof: must be 194 hex digits"),
        ("proof", "00" * 97, "proof: does not hold"),
    ],
)
def test_a_refusal_names_the_field(field: str, value: Any, message: str) -> None:
    argument = registering(**{field: value})
    if value is ...:
        del argument[field]
    RegistryChannel().refused("RegisterDevice", argument, message, caller=KYIV)


def test_a_certificate_with_another_kind_of_key_is_refused() -> None:
    other = certificate("ed", 0, ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32))
    RegistryChannel().refused("RegisterDevice", registering(certificate=other), "certificate: ", "P-256", caller=KYIV)


def test_a_key_in_capitals_is_refused_as_it_would_be_another_text() -> None:
    message = "proof_key: must be 130 hex digits"
    RegistryChannel().refused("RegisterDevice", registering(proof_key=proof_key("pmu-1").upper()), message, caller=KYIV)


def proving(**changes: str) -> dict[str, Any]:
    """The argument with a proof of something else than it says."""
    told = {
        "channel": CHANNEL,
        "device": "pmu-1",
        "certificate_sha256": certificate_sha256(),
        "proof_key": proof_key("pmu-1"),
    } | changes
    return registering(proof=prove(secret("pmu-1"), "pmu-1", events.registration_text(**told)))


def test_a_proof_serves_for_one_device_channel_certificate_and_key() -> None:
    channel = RegistryChannel()
    for changes in (
        {"channel": "devices"},
        {"device": "pmu-2"},
        {"certificate_sha256": "0" * 64},
        {"proof_key": proof_key("pmu-2")},
    ):
        channel.refused("RegisterDevice", proving(**changes), "proof: does not hold", caller=KYIV)
    other = registering(proof=prove(secret("pmu-2"), "pmu-1", events.registration_text(**told_of("pmu-1"))))
    channel.refused("RegisterDevice", other, "proof: does not hold", caller=KYIV)
    named = registering(proof=prove(secret("pmu-1"), "pmu-2", events.registration_text(**told_of("pmu-1"))))
    channel.refused("RegisterDevice", named, "proof: does not hold", caller=KYIV)
    channel.call("RegisterDevice", proving(), KYIV)


def told_of(name: str) -> dict[str, str]:
    key = {"certificate_sha256": certificate_sha256(), "proof_key": proof_key(name)}
    return {"channel": CHANNEL, "device": name, **key}


def test_another_certificate_needs_another_proof() -> None:
    assert certificate("lightnode-lviv", 3) != CERTIFICATE
    other = registering(certificate=certificate("lightnode-lviv", 3))
    RegistryChannel().refused("RegisterDevice", other, "proof: does not hold", caller=KYIV)


def test_only_a_registrar_registers() -> None:
    for caller in (AUTHORITY, client("KyivMSP"), client("KyivMSP", forensics_role="agent")):
        RegistryChannel().refused(
            "RegisterDevice",
            registering(),
            "caller: its certificate must have forensics.role = registrar",
            caller=caller,
        )


def test_a_name_is_never_another_device_s() -> None:
    channel = RegistryChannel().register("pmu-1")
    again = registering(number=7)
    channel.refused("RegisterDevice", again, "device: pmu-1 is registered by KyivMSP already (active)", caller=LVIV)
    channel.call("Retire", {"device": "pmu-1"}, KYIV)
    channel.refused("RegisterDevice", again, "device: pmu-1 is registered", "(retired)", caller=KYIV)
    channel.call("Revoke", {"device": "pmu-1", "reason": "stolen"}, KYIV)
    channel.refused("RegisterDevice", again, "device: pmu-1 is registered", "(revoked)", caller=KYIV)


def with_key_of(other: str, number: int = 1, key: str | None = None) -> dict[str, Any]:
    """pmu-2 with a key that is another's; the proof holds."""
    key = key or proof_key(other, number)
    text = events.registration_text(CHANNEL, "pmu-2", certificate_sha256(), key)
    return registering("pmu-2", proof_key=key, proof=prove(secret(other, number), "pmu-2", text))


def test_a_key_is_never_another_device_s() -> None:
    channel = RegistryChannel().register("pmu-1")
    channel.refused("RegisterDevice", with_key_of("pmu-1"), "proof_key: is key 1 of pmu-1", caller=KYIV)
    channel.call("RotateKey", rotating(), KYIV)
    for number in (1, 2):
        message = f"proof_key: is key {number} of pmu-1"
        channel.refused("RegisterDevice", with_key_of("pmu-1", number), message, caller=LVIV)
    channel.call("Revoke", {"device": "pmu-1", "reason": "stolen"}, KYIV)
    channel.refused("RegisterDevice", with_key_of("pmu-1", 2), "proof_key: is key 2 of pmu-1", caller=KYIV)


def test_the_negative_of_a_key_that_was_used_is_refused_too() -> None:
    """Whoever has a stolen secret a also has n - a, and can prove it."""
    channel = RegistryChannel().register("pmu-1")
    point = p256.decode(bytes.fromhex(proof_key("pmu-1")))
    negative = p256.encode(p256.negate(point)).hex()
    text = events.registration_text(CHANNEL, "pmu-2", certificate_sha256(), negative)
    proof = prove(p256.ORDER - secret("pmu-1"), "pmu-2", text)
    argument = registering("pmu-2", proof_key=negative, proof=proof)
    RegistryChannel().call("RegisterDevice", argument, KYIV)
    channel.refused("RegisterDevice", argument, "proof_key: is key 1 of pmu-1", caller=KYIV)


def test_registrations_in_one_block_are_all_valid() -> None:
    channel = RegistryChannel()
    results = [channel.endorse("RegisterDevice", registering(f"pmu-{n}"), KYIV, n) for n in range(5)]
    assert [channel.order(result) for result in results] == [True] * 5


def test_of_two_registrations_of_one_device_or_key_in_one_block_one_is_valid() -> None:
    channel = RegistryChannel()
    first = channel.endorse("RegisterDevice", registering(), KYIV, 1)
    same_name = channel.endorse("RegisterDevice", registering(number=2), LVIV, 2)
    same_key = channel.endorse("RegisterDevice", with_key_of("pmu-1"), LVIV, 3)
    assert [channel.order(result) for result in (first, same_name, same_key)] == [True, False, False]
