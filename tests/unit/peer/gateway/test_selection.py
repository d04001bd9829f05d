"""Which peers are asked: smallest sets, healthy ones, this peer, taking turns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridledger.errors import BusyError, GridLedgerError, UnavailableError
from gridledger.protocol.config import ChannelConfig, Node
from services.peer.gateway.peer_health import MAX_BEHIND, PeerHealth
from services.peer.gateway.selection import MAX_SHARED, SHARED_S, Selection
from tests.support.paper import PaperNetwork


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def never(_: Node) -> None:
    raise UnavailableError("down")


class House:
    def __init__(self, count: int, policy: str, own: str = "peer1") -> None:
        self.clock = Clock()
        self.health = PeerHealth(never, 1000.0, clock=self.clock)
        self.selection = Selection(own, self.health)
        self.paper = PaperNetwork(organisations=count, policy=policy)
        self.config = self.paper.config

    def first(self) -> set[str]:
        return {node.name for node in self.selection.first(self.config, "kv")}

    def with_peer2b(self, **changes: Any) -> ChannelConfig:
        """The configuration with a second peer of Org2."""
        certificate = self.paper.organisations["Org2MSP"].issue("peer2b", "peer").certificate
        peer2b = Node("peer2b", "Org2MSP", "https://localhost:1", certificate)
        return replace(self.config, peers={**self.config.peers, "peer2b": peer2b}, **changes)

    def fail(self, name: str, error: GridLedgerError | None = None) -> None:
        self.health.failed(self.config.peers[name], "kv", error or UnavailableError("down"))


async def test_equal_sets_with_this_peer_take_turns() -> None:
    house = House(4, "OutOf(2, all)")
    seen = [house.first() for _ in range(6)]
    assert all(len(peers) == 2 and "peer1" in peers for peers in seen)
    assert {frozenset(peers) for peers in seen} == {frozenset({"peer1", f"peer{number}"}) for number in (2, 3, 4)}


async def test_peer_outside_the_policy_is_not_asked_even_if_it_is_us() -> None:
    house = House(3, "AND('Org2MSP.peer', 'Org3MSP.peer')")
    assert house.first() == {"peer2", "peer3"}


async def test_smaller_set_wins_over_one_with_this_peer() -> None:
    house = House(3, "OR('Org2MSP.peer', AND('Org1MSP.peer', 'Org3MSP.peer'))")
    assert house.first() == {"peer2"}


async def test_larger_healthy_set_wins_over_one_with_a_failed_peer() -> None:
    house = House(3, "OR('Org2MSP.peer', AND('Org1MSP.peer', 'Org3MSP.peer'))")
    house.fail("peer2")
    assert house.first() == {"peer1", "peer3"}
    house.fail("peer3")
    # No choice is left: the smallest again.
    assert house.first() == {"peer2"}
    await house.health.close()


async def test_peer_far_behind_is_left_out_while_others_are_there() -> None:
    house = House(3, "OutOf(2, all)")
    house.health.answered("peer2", MAX_BEHIND + 1)
    assert [house.first() for _ in range(3)] == [{"peer1", "peer3"}] * 3
    house.health.answered("peer2", 0)
    assert {frozenset(house.first()) for _ in range(4)} == {
        frozenset({"peer1", "peer2"}),
        frozenset({"peer1", "peer3"}),
    }


async def test_mark_for_one_chaincode_is_forgotten_in_time() -> None:
    house = House(2, "OR('Org1MSP.peer', 'Org2MSP.peer')")
    house.fail("peer1", UnavailableError("not here", code="CHAINCODE_NOT_INSTALLED"))
    assert house.first() == {"peer2"}
    house.clock.now = 1001.0
    assert house.first() == {"peer1"}


@pytest.mark.parametrize("error", [BusyError("full"), GridLedgerError("no", code="X", status=404)])
async def test_full_queue_or_a_clients_fault_is_no_mark(error: GridLedgerError) -> None:
    house = House(2, "OR('Org1MSP.peer', 'Org2MSP.peer')")
    house.fail("peer1", error)
    assert house.first() == {"peer1"}


async def test_organisation_with_two_peers_shares_the_work() -> None:
    house = House(2, "AND('Org1MSP.peer', 'Org2MSP.peer')")
    house.config = house.with_peer2b()
    seen = {frozenset(house.first()) for _ in range(6)}
    assert seen == {frozenset({"peer1", "peer2"}), frozenset({"peer1", "peer2b"})}
    further = house.selection.further(house.config, "kv", have=["Org1MSP"], asked=["peer1", "peer2"])
    assert [node.name for node in further] == ["peer2b"]


async def test_policy_may_ask_two_peers_of_one_organisation() -> None:
    house = House(2, "AND('Org2MSP.peer', 'Org2MSP.peer')")
    assert house.first() == set()
    house.config = house.with_peer2b(sequence=1)
    assert house.first() == {"peer2", "peer2b"}


async def test_what_is_missing_is_the_fewest_of_those_not_asked() -> None:
    house = House(5, "OutOf(3, all)")
    have, asked = ["Org1MSP", "Org2MSP"], ["peer1", "peer2", "peer3"]
    further = house.selection.further(house.config, "kv", have=have, asked=asked)
    assert [node.name for node in further] in (["peer4"], ["peer5"])
    assert house.selection.further(house.config, "kv", have=have, asked=list(house.config.peers)) == []


async def test_proposals_that_come_together_go_to_one_set_for_a_moment() -> None:
    house = House(4, "OutOf(2, all)")

    def shared() -> frozenset[str]:
        return frozenset(node.name for node in house.selection.shared(house.config, "kv", house.clock.now))

    first = shared()
    assert {shared() for _ in range(MAX_SHARED - 1)} == {first}
    # As many as may share it have come; then a moment is over; then one of its peers has failed.
    second = shared()
    assert second != first
    house.clock.now += SHARED_S
    third = shared()
    assert third not in {first, second}
    (other,) = third - {"peer1"}
    house.fail(other)
    assert other not in shared()
    await house.health.close()
