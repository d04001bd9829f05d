"""Processes that die or hang under load: what was acknowledged stays, what can go on goes on, what cannot says so."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest

from gridledger.client.errors import EndorseError, SubmitError
from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import three_shards
from tests.support.packages import KV_ID
from tests.support.steady_load import PATIENT, Source, codes, running_load
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep]
SHARDS = [Source("peer1", "shard1", 30), Source("peer3", "shard2", 30), Source("peer5", "shard3", 30)]
"""The thesis's load: 30 frames a second for each of three groups."""

COMMITTER = "services.peer.committer"


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """A network whose processes are killed. Gateways give the orderers up after 8 s: these tests are quick."""
    policies = {"mainchain": "OutOf(4, all)", **dict.fromkeys(("shard1", "shard2", "shard3"), "OutOf(2, all)")}
    config = three_shards(policies, ordering={"timeout_s": 8.0})
    with local_network(config, tmp_path_factory.mktemp("frail")) as running:
        yield running


async def test_the_leader_is_killed(frail: LocalNetwork) -> None:
    """Nobody notices but by waiting for the election: every transaction is valid."""
    leader = await frail.leader("shard1")
    async with running_load(frail, SHARDS, seconds=14, name="leader") as load:
        await load.at(2)
        await frail.kill(leader)
        await load.at(6)
        await frail.start(leader)
    assert codes(load.outcomes) == {"VALID": 1260}
    assert max(item.took_s for item in load.outcomes) < 8
    await load.nothing_lost(frail)


async def test_what_the_orderers_acknowledged_is_on_the_chain(frail: LocalNetwork) -> None:
    """Acknowledged means ordered for good: a leader that can reach nobody acknowledges nothing, and then dies."""
    leader = await frail.leader("shard3")
    followers = [name for name in frail.profile.orderers if name != leader]
    async with frail.gateway("peer5", max_connections=512, retry=PATIENT) as gateway:
        contract = gateway.get_network("shard3").get_contract("kv")
        proposals = [await contract.new_proposal("put", f"burst-{number}", number) for number in range(200)]
        endorsed = await asyncio.gather(*(proposal.endorse() for proposal in proposals))
        # The gateway knows the leader, and the leader does not know yet that it is alone.
        await contract.submit_transaction("put", "burst", 1)
        for name in followers:
            os.kill(frail.pid(name), signal.SIGKILL)
        burst = [asyncio.create_task(transaction.submit()) for transaction in endorsed]
        await asyncio.wait(burst, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
        await frail.kill(leader)
        # Side by side: one of three is not healthy alone.
        await asyncio.gather(*(frail.start(name) for name in followers))
        answers = await asyncio.gather(*burst, return_exceptions=True)
        # Whose deadline passed before the two were up again was told so, and tries again.
        late = [item for item, answer in zip(endorsed, answers, strict=True) if isinstance(answer, SubmitError)]
        await asyncio.gather(*(item.submit() for item in late))
    await frail.start(leader)
    await frail.agree("shard3")
    for peer in ("peer5", "peer6"):
        found = await frail.verdicts(peer, "shard3")
        assert [Code.VALID in found.get(item.tx_id, []) for item in endorsed] == [True] * len(endorsed)


async def test_a_peer_is_killed(frail: LocalNetwork) -> None:
    """Where it must endorse, clients are told so at once; where others can, they do; what went through it is safe."""
    through, both, four = (
        Source("peer2", "mainchain", 30),
        Source("peer1", "shard1", 30),
        Source("peer1", "mainchain", 30),
    )
    async with running_load(frail, [through, both, four], seconds=20, name="peer") as load:
        await load.at(3)
        kill_s = load.now_s
        await frail.kill("peer2")
        gone_s = load.now_s
        await load.at(8)
        # How long the start takes is the machine's matter, and the load goes on meanwhile; once the peer is healthy,
        # all is well again after 5 s.
        load.lasts_s = float("inf")
        await frail.start("peer2")
        well_s = load.now_s + 5
        load.lasts_s = max(20.0, well_s + 4)
    assert set(codes(load.of(four))) == {"VALID"}
    # What was on its way when the peer died may have been ordered; its client asks for its status.
    assert set(codes(load.of(through))) == {"VALID", "CONNECTION_FAILED"}
    assert set(codes(load.of(both))) == {"VALID", "ENDORSERS_UNAVAILABLE"}
    without = load.of(both, gone_s, 7.5)
    assert {(item.code, item.status) for item in without} == {("ENDORSERS_UNAVAILABLE", 503)}
    assert max(item.took_s for item in without) < 2
    before = [item for item in load.of(both) if item.ended_s < kill_s]
    assert set(codes(before)) == set(codes(load.of(both, well_s))) == {"VALID"}
    await load.nothing_lost(frail)
    await _unknown_outcomes_settle(frail, [item.tx_id for item in load.of(through) if item.code != "VALID"])


async def _unknown_outcomes_settle(network: LocalNetwork, tx_ids: list[str]) -> None:
    """Both peers say the same of each transaction whose client was left without an answer."""
    one, other = await network.verdicts("peer1", "mainchain"), await network.verdicts("peer2", "mainchain")
    assert [one.get(tx_id) for tx_id in tx_ids] == [other.get(tx_id) for tx_id in tx_ids]


async def test_a_policy_that_cannot_be_met_is_told_soon(frail: LocalNetwork) -> None:
    async with frail.gateway("peer1") as gateway:
        contract = gateway.get_network("shard1").get_contract("kv")
        await frail.kill("peer2")
        for _ in range(3):
            with pytest.raises(EndorseError) as caught:
                async with asyncio.timeout(6):
                    await contract.submit_transaction("put", "unmet", 1)
            assert (caught.value.status, caught.value.code) == (503, "ENDORSERS_UNAVAILABLE")
            assert caught.value.details["peers"]["peer2"].startswith("CONNECTION_FAILED")
        await frail.start("peer2")

        async def works() -> bool:
            await contract.submit_transaction("put", "unmet", 1)
            return True

        await eventually(works, within_s=20, what="the policy is met again", ignore=(EndorseError,))


async def test_a_peer_hangs(frail: LocalNetwork) -> None:
    """SIGSTOP: connections stay open and nobody answers. It costs the others a little time."""
    # What peer3 has under way for 5 s must not make it busy: then clients wait for that too.
    both, four = Source("peer3", "shard2", 15), Source("peer1", "mainchain", 60)
    async with running_load(frail, [both, four], seconds=14, name="hang") as load:
        await load.at(2)
        frail.pause("peer4")
        await load.at(8)
        frail.resume("peer4")
    assert codes(load.of(four)) == {"VALID": 840}
    refused = {(item.code, item.status) for item in load.of(both) if item.code != "VALID"}
    assert refused == {("ENDORSERS_UNAVAILABLE", 503)}
    # Within a second: a probe finds the peer gone, and from then on nobody waits for it. (Before, a collection's 5 s.)
    assert max(item.took_s for item in load.of(both)) < 3
    assert max(item.took_s for item in load.of(both, 6, 7.5)) < 2
    assert set(codes(load.of(both, 11))) == {"VALID"}
    await load.nothing_lost(frail)


async def test_the_leader_hangs(frail: LocalNetwork) -> None:
    """Its gateways' requests to it run into their deadline, and are sent to the new leader."""
    leader = await frail.leader("shard2")
    async with running_load(frail, SHARDS, seconds=11, name="stopped") as load:
        await load.at(2)
        frail.pause(leader)
        # Longer than any answer may take below, so that waiting for the leader to come back is seen.
        await load.at(8)
        frail.resume(leader)
    assert codes(load.outcomes) == {"VALID": 990}
    # Gateways ask the others after 0.3 s whether one of them leads, and committers leave it within a second.
    assert max(item.took_s for item in load.outcomes) < 4
    await load.nothing_lost(frail)


async def test_hosts_and_a_committer_are_killed(frail: LocalNetwork) -> None:
    """A host costs the calls that it had, a committer its peer, which says so in one line and ends."""
    both, four = Source("peer1", "shard1", 30), Source("peer5", "mainchain", 60)
    async with running_load(frail, [both, four], seconds=10, name="parts") as load:
        await load.at(2)
        killed, kill_s = frail.children("peer2", KV_ID), load.now_s
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: _replaced(frail, "peer2", killed), within_s=5, what="new hosts")
        await load.at(4)
        os.kill(frail.children("peer3", COMMITTER)[0], signal.SIGKILL)
        assert await frail.ended("peer3") == 1
        await frail.start("peer3")
    failed = [item for item in load.of(both) if item.code != "VALID"]
    # On a crowded machine more calls are under way at once than on a calm one.
    under_way = [item for item in load.of(both) if item.at_s <= kill_s <= item.ended_s]
    assert len(failed) <= max(3, len(under_way)), codes(failed)
    assert set(codes(load.of(four))) == {"VALID"}
    # Once in its log, and once for people.
    said = [line for line in frail.log("peer3").splitlines() if "was killed by signal 9; this peer stops" in line]
    assert sorted(line[:7] for line in said) == ["error: ", '{"time"']
    assert sum(line.startswith("error: ") for line in frail.log("peer3").splitlines()) == 1
    assert "Traceback" not in frail.log("peer3")
    await load.nothing_lost(frail)


async def _replaced(network: LocalNetwork, name: str, before: list[int]) -> bool:
    now = network.children(name, KV_ID)
    return len(now) == len(before) and not set(now) & set(before)


async def test_the_majority_of_the_orderers_is_killed(frail: LocalNetwork) -> None:
    """Nothing can be ordered, which clients learn in time; then all goes on, and no outcome stays open."""
    async with frail.gateway("peer1") as gateway:
        contract = gateway.get_network("shard1").get_contract("kv")
        endorsed = [await (await contract.new_proposal("put", f"majority-{n}", n)).endorse() for n in range(5)]
        for name in ("orderer1", "orderer3"):
            await frail.kill(name)
        began = time.monotonic()
        answers = await asyncio.gather(*(item.submit_and_wait() for item in endorsed), return_exceptions=True)
        assert time.monotonic() - began < 10
        for answer in answers:
            assert isinstance(answer, SubmitError)
            assert (answer.status, answer.code) == (503, "ORDERERS_UNAVAILABLE")
            assert answer.details["outcome"] in ("unknown", "not ordered")
        # Reading goes on meanwhile.
        assert await contract.evaluate_transaction("get", "majority-0") is None
        for name in ("orderer3", "orderer1"):
            await frail.start(name)

        async def settled() -> bool:
            return all([(await item.submit_and_wait()).successful for item in endorsed])

        await eventually(settled, within_s=20, what="all transactions valid", ignore=(GridLedgerError,))
        assert [await contract.evaluate_transaction("get", f"majority-{n}") for n in range(5)] == list(range(5))
    for channel in frail.profile.channels:
        await frail.agree(channel)
