"""Damaged calls are refused by the field's name, or do the same twice."""

from __future__ import annotations

from gridledger.contract.determinism import check_package
from tests.support.mutated_calls import check_mutations
from tests.support.processes import REPOSITORY
from tests.support.registry_channel import AUTHORITY, KYIV, RegistryChannel, registering, rotating


def test_a_thousand_mutations() -> None:
    channel = RegistryChannel().register("pmu-1", "pmu-2", "pmu-3")
    channel.publish()
    place = channel.call("PublishFilter", {"epoch": 2, "m": 256, "k": 3, "from": "", "limit": 1}, KYIV)["next"]
    calls = [
        ("RegisterDevice", registering("pmu-4"), KYIV),
        ("RegisterDevice", registering("pmu-5"), KYIV),
        ("RotateKey", rotating(), KYIV),
        ("Retire", {"device": "pmu-1"}, KYIV),
        ("Revoke", {"device": "pmu-1", "reason": "stolen"}, KYIV),
        ("SetAuthority", {}, AUTHORITY),
        ("PublishFilter", {"epoch": 2, "m": 256, "k": 3, "from": place, "limit": 2000}, KYIV),
        ("PublishFilter", {"epoch": 3, "m": 256, "k": 3, "from": "", "limit": 2}, KYIV),
        ("GetFilter", {"epoch": 1, "part": 0, "limit": 10, "bookmark": "00000000/pmu-1"}, KYIV),
        ("GetDevice", {"device": "pmu-1"}, KYIV),
        ("GetKeys", {"device": "pmu-1", "limit": 5, "bookmark": "000001"}, KYIV),
        ("ListDevices", {"section": "transmission", "type": "pmu", "limit": 2, "bookmark": "pmu-2"}, KYIV),
        ("GetRevoked", {"limit": 2, "bookmark": "pmu-2"}, KYIV),
    ]
    for call in calls:
        assert channel.endorse(*call).response.status == 200, call
    found = check_mutations(channel, calls, 1000, seed=20_261_130)
    assert found.total() == 1000
    assert {"device", "proof", "proof_key", "certificate", "epoch", "from", "m", "k", "argument"} <= set(found), found
    assert 20 < found["taken"] < 400


def test_nothing_in_it_may_differ_from_peer_to_peer() -> None:
    assert list(check_package(REPOSITORY / "chaincode" / "registry")) == []
