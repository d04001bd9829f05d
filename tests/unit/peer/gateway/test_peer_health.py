"""What the gateway remembers of peers: who failed, who lags, who lacks a chaincode, and the probes that end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from gridledger.errors import BusyError, GridLedgerError, TimeoutExceeded, UnavailableError
from gridledger.protocol.config import Node
from services.peer.errors import ChaincodeNotInstalled
from services.peer.gateway import peer_health
from services.peer.gateway.peer_health import BEHIND, FAILED, HEALTHY, MAX_BEHIND, PeerHealth
from tests.support.paper import PaperNetwork
from tests.support.waiting import until

PEER = PaperNetwork().config.peers["peer2"]


class House:
    """A memory of peers whose probes fail until ``error`` is taken away."""

    def __init__(self, probe_after_s: float = 0.005) -> None:
        self.now = 0.0
        self.error: GridLedgerError | None = UnavailableError("refused", code="CONNECTION_FAILED")
        self.probed: list[str] = []
        self.health = PeerHealth(self.probe, probe_after_s, clock=lambda: self.now)

    async def probe(self, peer: Node) -> None:
        self.probed.append(peer.name)
        if self.error is not None:
            raise self.error

    def rank(self, chaincode: str = "kv") -> int:
        return self.health.rank("peer2", chaincode)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    await made.health.close()
    assert made.health._probes == {}


async def test_a_peer_that_nobody_has_asked_is_healthy(house: House) -> None:
    assert (house.rank(), house.health.gone("peer2"), house.health.status()) == (HEALTHY, None, {})


@pytest.mark.parametrize(
    "error", [UnavailableError("down"), TimeoutExceeded("late"), GridLedgerError("no", status=500)]
)
async def test_a_peer_that_fails_is_left_out_for_all_chaincodes(house: House, error: GridLedgerError) -> None:
    house.health.failed(PEER, "kv", error)
    assert (house.rank(), house.rank("other"), house.health.gone("peer2")) == (FAILED, FAILED, error)
    assert house.health.status() == {"peer2": f"{error.code}: {error.message}"}


@pytest.mark.parametrize(
    "error", [BusyError("full"), GridLedgerError("no", status=400), GridLedgerError("no", status=409)]
)
async def test_a_clients_fault_or_a_full_queue_is_no_mark(house: House, error: GridLedgerError) -> None:
    house.health.failed(PEER, "kv", error)
    assert (house.rank(), house.health.status()) == (HEALTHY, {})


async def test_a_peer_without_a_chaincode_is_left_out_for_a_time(house: House) -> None:
    house.health.failed(PEER, "kv", ChaincodeNotInstalled("not here"))
    assert (house.rank("kv"), house.rank("other"), house.health.status()) == (FAILED, HEALTHY, {})
    house.health.expire()
    assert house.rank("kv") == FAILED
    house.now = 0.005
    version = house.health.version
    house.health.expire()
    assert (house.rank("kv"), house.health.version) == (HEALTHY, version + 1)
    assert house.probed == []


async def test_a_slow_peer_is_left_out_and_not_taken_for_gone() -> None:
    house = House(probe_after_s=60.0)
    house.error = None
    house.health.slow(PEER)
    await until(lambda: house.probed)
    assert (house.rank(), house.health.gone("peer2")) == (FAILED, None)
    house.health.answered("peer2", 0)
    assert house.rank() == HEALTHY
    await house.health.close()


@pytest.mark.parametrize("doubt", [True, False])
async def test_a_peer_that_hangs_is_gone_until_its_probe_is_answered(
    monkeypatch: pytest.MonkeyPatch, doubt: bool
) -> None:
    monkeypatch.setattr(peer_health, "SILENT_S", 0.01)
    back = asyncio.Event()

    async def probe(_: Node) -> None:
        await back.wait()

    health = PeerHealth(probe, 60.0, clock=lambda: 0.0)
    (health.doubt if doubt else health.slow)(PEER)
    await until(lambda: health.gone("peer2"))
    assert health.status() == {"peer2": "TIMEOUT: it has not answered a probe within 0.01 s"}
    back.set()
    await until(lambda: health.rank("peer2", "kv") == HEALTHY)  # at once, and not after probe_after_s
    assert (health.gone("peer2"), health.status()) == (None, {})
    await health.close()


async def test_a_peer_in_doubt_that_answers_is_left_alone(house: House) -> None:
    house.error = None
    house.health.doubt(PEER)
    await until(lambda: house.probed and not house.health._probes)
    assert (house.rank(), house.health.version, house.health.status()) == (HEALTHY, 0, {})
    house.health.doubt(PEER)
    assert not house.health._probes  # not again so soon
    house.now += 0.005
    house.health.doubt(PEER)
    await until(lambda: len(house.probed) == 2)


async def test_a_peer_is_probed_until_it_answers(house: House) -> None:
    house.health.slow(PEER)
    await until(lambda: len(house.probed) >= 3)
    assert (house.rank(), house.health.gone("peer2")) == (FAILED, house.error)
    assert house.health.status() == {"peer2": "CONNECTION_FAILED: refused"}
    house.error = None
    version = house.health.version
    await until(lambda: house.rank() == HEALTHY)
    assert (house.health.gone("peer2"), house.health.status()) == (None, {})
    assert house.health.version == version + 1
    await until(lambda: not house.health._probes)


async def test_one_probe_at_a_time_asks_a_peer(house: House) -> None:
    for _ in range(5):
        house.health.failed(PEER, "kv", UnavailableError("down"))
    assert [task.get_name() for task in asyncio.all_tasks()].count("probe peer2") == 1


async def test_a_peer_that_lags_far_is_behind(house: House) -> None:
    versions = [house.health.version]
    for behind in (0, MAX_BEHIND, MAX_BEHIND + 1, MAX_BEHIND + 9, 3):
        house.health.answered("peer2", behind)
        versions.append(house.health.version)
        assert house.rank() == (BEHIND if behind > MAX_BEHIND else HEALTHY)
    # Who chooses peers looks again only when a rank has changed.
    assert [later - earlier for earlier, later in pairwise(versions)] == [0, 0, 1, 0, 1]


async def test_an_answer_ends_a_failure_at_once(house: House) -> None:
    house.health.failed(PEER, "kv", UnavailableError("down"))
    version = house.health.version
    house.health.answered("peer2", 0)
    assert (house.rank(), house.health.gone("peer2"), house.health.version) == (HEALTHY, None, version + 1)
    await until(lambda: not house.health._probes)
