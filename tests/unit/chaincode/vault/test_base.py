"""SetBase and GetBase: whose the vault is, and the key that dealers seal to."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gridledger.contract.simulator.state import MemoryState
from tests.support.vault_channel import BASE, READER, STRANGER, VaultChannel, cluster

KEY = base64.b64encode(bytes(range(32))).decode()
RECORD = {"kem_key": KEY, "url": "https://127.0.0.1:5200"}


def test_the_first_set_base_makes_its_caller_s_organisation_the_base() -> None:
    channel = VaultChannel(MemoryState())
    channel.refused("GetBase", {}, "base: the vault has none yet")
    kept = channel.call("SetBase", RECORD, BASE)
    assert kept == {"mspid": "BaseMSP", **RECORD, "time_us": channel.now_us}
    assert channel.event() == ("BaseSet", kept)
    assert channel.call("GetBase", {}) == kept
    channel.refused("SetBase", RECORD, "caller: the base of this vault is of BaseMSP", caller=STRANGER)
    channel.call("SetCluster", cluster("M1", 5, 1) | {"mspid": "SecurityMSP"}, BASE)
    assert channel.call("GetBase", {}) == kept


def test_the_base_may_change_its_key_and_place() -> None:
    channel = VaultChannel()
    assert channel.call("GetBase", {})["kem_key"] is None
    channel.call("SetBase", RECORD, BASE)
    other = {"kem_key": base64.b64encode(bytes(1216)).decode(), "url": "https://base:5201"}
    assert channel.call("SetBase", other, BASE)["mspid"] == "BaseMSP"
    told = channel.call("GetBase", {})
    assert {field: told[field] for field in other} == other
    channel.refused("SetBase", RECORD, "vault.role", caller=READER)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kem_key": "AAAA"}, "kem_key: must be 32 to 2048 bytes in base64"),
        ({"kem_key": 7}, "kem_key: must be"),
        ({"url": "http://base"}, "url: must be an address"),
        ({"mspid": "BaseMSP"}, "mspid: is no field here"),
    ],
)
def test_a_record_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    VaultChannel().refused("SetBase", RECORD | changes, message, caller=BASE)
