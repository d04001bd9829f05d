"""Substations to measure."""

from __future__ import annotations

import pytest

from benchmarks.relay.substations import CHANNEL, peers_by_server, registration, servers_of, substation
from gridledger.errors import SettingsError


@pytest.mark.parametrize("count", [1, 4, 8, 15])
def test_a_substation_has_as_many_organisations_and_peers(count: int):
    config = substation(count, port_offset=20_000)
    assert (len(config.peers), len(servers_of(config)), len(config.orderers)) == (count, count, 3)
    assert len({peer.organisation for peer in config.peers}) == count
    assert config.channels[CHANNEL].peers == tuple(peer.name for peer in config.peers)
    assert config.channels[CHANNEL].chaincodes["relay"].policy == "MAJORITY(all)"


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (4, 3), (8, 5), (15, 8)])
def test_all_servers_are_registered_and_over_half_confirm(count: int, quorum: int):
    config = substation(count, port_offset=100)
    record = registration(config)
    assert [server["id"] for server in record["servers"]] == list(peers_by_server(config))
    assert record["servers"][0] == {"id": "5004", "mspid": "Server5004MSP"}
    assert record["quorum"] == quorum
    assert record["address"].startswith("http://127.0.0.1:51")


def test_each_server_has_its_own_peer():
    assert peers_by_server(substation(4))["5006"] == "peer5006"


def test_channels_are_alike():
    config = substation(4, channels=("a", "b"), simulator={"minute_s": 6}, server={"attest": "none"})
    assert config.channels["a"] == config.channels["b"]
    (simulator,) = (item for item in config.companions if item.kind == "relay-simulator")
    assert simulator.settings["minute_s"] == 6
    assert servers_of(config)[0].settings == {"server": "5004", "operators": ["Server5004MSP"], "attest": "none"}


@pytest.mark.parametrize("count", [0, 16])
def test_others_are_refused(count: int):
    with pytest.raises(SettingsError, match="1 to 15 servers"):
        substation(count)
