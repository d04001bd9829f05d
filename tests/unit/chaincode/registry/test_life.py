"""RotateKey, Retire, Revoke, SetAuthority: who changes a device, and that no change is undone."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.evidence import events
from tests.support.contract_channel import CHANNEL, certificate, client
from tests.support.registry_channel import (
    AUTHORITY,
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

REVOKING = {"device": "pmu-1", "reason": "stolen"}


def test_a_rotated_key_is_the_device_s_and_the_one_before_stays_known() -> None:
    channel = RegistryChannel().register("pmu-1")
    before = channel.stored("device/pmu-1")
    record = channel.call("RotateKey", rotating(), KYIV)
    assert record == before | {"proof_key": proof_key("pmu-1", 2), "key_number": 2}
    name, told = channel.event()
    proofs = {field: rotating()[field] for field in ("proof_old", "proof_new")}
    assert (name, told) == (
        "KeyRotated",
        record | proofs | {"channel": CHANNEL, "time_us": channel.now_us, "tx": told["tx"]},
    )
    assert told["tx"] != before["tx"]
    keys = channel.pages("GetKeys", {"device": "pmu-1", "limit": 1})
    assert [(key["number"], key["proof_key"]) for key in keys] == [
        (1, proof_key("pmu-1")),
        (2, proof_key("pmu-1", 2)),
    ]
    assert keys[1] == {"number": 2, "proof_key": record["proof_key"], "certificate_sha256": certificate_sha256()} | (
        proofs | {"time_us": channel.stored("keyed/pmu-1/000002")["time_us"], "tx": told["tx"]}
    )


def test_a_new_certificate_comes_with_a_new_key() -> None:
    channel = RegistryChannel().register("pmu-1")
    other = certificate("lightnode-2", 9)
    channel.refused("RotateKey", rotating(certificate=other), "proof_old: does not hold", caller=KYIV)
    text = events.registration_text(CHANNEL, "pmu-1", certificate_sha256(other), proof_key("pmu-1", 2))
    proofs: dict[str, Any] = {
        f"proof_{name}": prove(secret("pmu-1", n), "pmu-1", text) for name, n in (("old", 1), ("new", 2))
    }
    record = channel.call("RotateKey", rotating(certificate=other, **proofs), KYIV)
    assert record["certificate_sha256"] == certificate_sha256(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proof_old": rotating()["proof_new"]}, "proof_old: does not hold"),
        ({"proof_new": rotating()["proof_old"]}, "proof_new: does not hold"),
        ({"proof_old": "0" * 193}, "proof_old: must be 194 hex digits"),
        ({"proof_key": proof_key("pmu-1", 3)}, "proof_old: does not hold"),
        ({"proof_key": proof_key("pmu-1")}, "proof_key: is key 1 of pmu-1"),
        ({"proof_key": proof_key("pmu-2")}, "proof_key: is key 1 of pmu-2"),
        ({"proof_key": "04" + "00" * 64}, "proof_key: is no point"),
        ({"device": "pmu-3"}, "device: pmu-3 is not registered"),
        ({"device": "pmu-2"}, "proof_old: does not hold"),
        ({"certificate": "AAAA"}, "certificate: the certificate cannot be read"),
        ({"now": 1}, "now: is no field"),
    ],
)
def test_a_refusal_of_a_rotation_names_the_field(changes: dict[str, Any], message: str) -> None:
    channel = RegistryChannel().register("pmu-1", "pmu-2")
    channel.refused("RotateKey", rotating(**changes), message, caller=KYIV)


def test_no_key_comes_back() -> None:
    channel = RegistryChannel().register("pmu-1")
    channel.call("RotateKey", rotating(), KYIV)
    channel.refused("RotateKey", rotating(old=2, new=1), "proof_key: is key 1 of pmu-1", caller=KYIV)
    channel.refused("RotateKey", rotating(), "proof_key: is key 2 of pmu-1", caller=KYIV)
    assert channel.call("RotateKey", rotating(old=2, new=3), KYIV)["key_number"] == 3


def test_a_device_belongs_to_the_organisation_that_registered_it() -> None:
    channel = RegistryChannel().register("pmu-1")
    for function, argument in (("RotateKey", rotating()), ("Retire", {"device": "pmu-1"}), ("Revoke", REVOKING)):
        channel.refused(function, argument, "device: pmu-1 belongs to KyivMSP", caller=LVIV)
        channel.refused(
            function, argument, "caller: its certificate must have forensics.role", caller=client("KyivMSP")
        )


def test_a_retired_device_changes_no_more_but_can_be_revoked() -> None:
    channel = RegistryChannel().register("pmu-1")
    record = channel.call("Retire", {"device": "pmu-1"}, KYIV)
    assert (record["status"], record["retired"]["time_us"]) == ("retired", channel.now_us)
    assert channel.event() == ("DeviceRetired", record)
    assert channel.stored("active/00000000/pmu-1") is None
    for function, argument in (("Retire", {"device": "pmu-1"}), ("RotateKey", rotating())):
        channel.refused(function, argument, "device: pmu-1 is retired", caller=KYIV)
    channel.call("Revoke", REVOKING, KYIV)
    assert channel.call("GetDevice", {"device": "pmu-1"})["status"] == "revoked"


def test_a_revoked_device_is_listed_with_the_reason() -> None:
    channel = RegistryChannel().register("pmu-1", "pmu-2")
    told = channel.call("Revoke", REVOKING, KYIV)
    assert told == {
        "device": "pmu-1",
        "section": "transmission",
        "mspid": "KyivMSP",
        "reason": "stolen",
        "by": "KyivMSP",
        "time_us": channel.now_us,
        "tx": told["tx"],
    }
    assert channel.event() == ("DeviceRevoked", told)
    assert channel.pages("GetRevoked", {}) == [told]
    assert channel.call("GetDevice", {"device": "pmu-1"})["revoked"] == told
    assert channel.stored("active/00000000/pmu-1") is None
    for function, argument in (("Retire", {"device": "pmu-1"}), ("RotateKey", rotating()), ("Revoke", REVOKING)):
        channel.refused(function, argument, "device: pmu-1 is revoked", caller=KYIV)
    channel.refused("Revoke", {"device": "pmu-2", "reason": " "}, "reason: ", caller=KYIV)
    channel.refused("Revoke", {"device": "pmu-3", "reason": "x"}, "device: pmu-3 is not registered", caller=KYIV)


def test_the_authority_is_one_organisation_and_may_revoke() -> None:
    channel = RegistryChannel().register("pmu-1")
    channel.refused("GetAuthority", {}, "authority: there is none yet")
    channel.refused("Revoke", REVOKING, "caller: its certificate must have forensics.role", caller=AUTHORITY)
    channel.refused("SetAuthority", {}, "caller: its certificate must have forensics.role", caller=KYIV)
    record = channel.call("SetAuthority", {}, AUTHORITY)
    assert channel.event() == ("AuthoritySet", record)
    assert (
        channel.call("GetAuthority", {})
        == record
        == {
            "mspid": "AuthorityMSP",
            "time_us": record["time_us"],
            "tx": record["tx"],
        }
    )
    false = client("LvivMSP", forensics_role="authority")
    for caller in (AUTHORITY, false):
        channel.refused("SetAuthority", {}, "authority: it is AuthorityMSP", caller=caller)
    channel.refused("Revoke", REVOKING, "caller: its certificate must have forensics.role", caller=false)
    assert channel.call("Revoke", REVOKING, AUTHORITY)["by"] == "AuthorityMSP"
    assert channel.stored("device/pmu-1")["mspid"] == "KyivMSP"


def test_devices_are_listed_by_section_type_and_status() -> None:
    channel = RegistryChannel().register("pmu-1", "pmu-2")
    channel.call("RegisterDevice", registering("meter-1", type="meter", section="home"), LVIV)
    channel.call("Retire", {"device": "pmu-2"}, KYIV)

    def listed(**wanted: Any) -> list[str]:
        return [record["device"] for record in channel.pages("ListDevices", {"limit": 1, **wanted})]

    assert listed() == ["meter-1", "pmu-1", "pmu-2"]
    assert listed(section="transmission") == ["pmu-1", "pmu-2"]
    assert listed(type="meter") == ["meter-1"]
    assert listed(status="retired") == ["pmu-2"]
    assert listed(section="home", type="pmu") == []
    for field, value in (("section", ""), ("type", "car"), ("status", "gone"), ("limit", 0), ("bookmark", "/")):
        channel.refused("ListDevices", {field: value}, f"{field}: ")
    channel.refused("GetKeys", {"device": "pmu-9"}, "device: pmu-9 is not registered")
    channel.refused("GetKeys", {"device": "pmu-1", "bookmark": "1"}, "bookmark: ")
    channel.refused("GetDevice", {"device": "pmu-9"}, "device: pmu-9 is not registered")
