"""What the page Network says of nodes and channels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gridledger.network.status import ChannelState, NetworkState, PeerState
from services.console.pages.network import node_rows, verdicts

PROFILE = SimpleNamespace(
    orderers={}, peers={name: SimpleNamespace(organisation="Org1", mspid="Org1MSP") for name in ("peer1", "peer2")}
)
DAY_US = 86_400_000_000


def state(**peers: tuple[int, str]) -> NetworkState:
    found = ChannelState({name: PeerState(*at) for name, at in peers.items()}, {"orderer1": 5}, "orderer1")
    return NetworkState({"shard1": found}, {}, ["peer1", "peer2"])


def places(found: NetworkState) -> list[str]:
    rows = node_rows(cast("Any", PROFILE), found, 0)
    return [row.cells["shard1"].text for row in rows if "shard1" in row.cells]


def test_peers_agree_where_there_are_several() -> None:
    both = state(peer1=(5, "x"), peer2=(5, "x"))
    assert [text for text, *_ in verdicts(both)][1:] == ["shard1: peers agree, orderer1 leads"]
    assert places(both) == ["5 x ✓", "5 x ✓"]


def test_a_peer_alone_agrees_with_nobody() -> None:
    alone = state(peer1=(5, "x"))
    _, (text, colour, _) = verdicts(alone)
    assert (text, colour) == ("shard1: peer1 alone tells you of it, nothing to compare; orderer1 leads", "dim")
    assert places(alone) == ["5 x"]


def test_peers_that_differ_are_marked() -> None:
    apart = state(peer1=(5, "x"), peer2=(5, "y"))
    assert [text for text, *_ in verdicts(apart)][1:] == ["shard1: PEERS DIFFER"]
    assert places(apart) == ["5 x differs", "5 y differs"]


def test_a_certificate_that_has_ended_says_so() -> None:
    found = state()
    for name, ends_us in (("peer1", DAY_US), ("peer2", 12 * DAY_US)):
        found.told[name] = cast("Any", SimpleNamespace(certificate_not_after_us=ends_us, version="1"))
    rows = node_rows(cast("Any", PROFILE), found, 2 * DAY_US)
    ends = {
        row.cells["node"].text: row.cells["certificate_ends"].text for row in rows if "certificate_ends" in row.cells
    }
    assert ends == {"peer1": "ended", "peer2": "in 10 d"}
