"""Collecting endorsements: sets, fallback, hedges, lagging peers, mismatches, refusals."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.errors import BusyError, UnavailableError
from gridledger.protocol.result import EndorsedResult
from services.peer.endorser.endorser import ProposalResponse
from services.peer.errors import (
    ChaincodeRefused,
    ChaincodeSequence,
    DuplicateTransaction,
    EndorsementMismatch,
    EndorsersBusy,
    EndorsersUnavailable,
    EndorsingOrganisationsRefused,
)
from services.peer.gateway import selection
from tests.support.waiting import until
from tests.unit.peer.gateway.endorsing_peers import Peers


@pytest.fixture(autouse=True)
def _sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each proposal gets a set of its own, so that sets take turns, unless the test is about proposals together: then
    they share one however slow the machine is."""
    monkeypatch.setattr(selection, "SHARED_S", 60.0 if "together" in request.node.name else 0.0)


async def test_smallest_set_with_this_peer_is_asked() -> None:
    peers = Peers(4, "OutOf(2, all)")
    for _ in range(6):
        collected = await peers.collect()
        assert len(collected.peers) == 2
        assert "peer1" in collected.peers
        assert [item.endorser for item in collected.endorsements] == [
            peers.paper.peers[name].fingerprint for name in collected.peers
        ]
    # Equal sets take turns.
    assert {"peer2", "peer3", "peer4"} <= set(peers.asked)
    assert len(peers.calls) == 12


async def test_another_set_stands_in_for_a_peer_that_fails() -> None:
    peers = Peers(4, "OutOf(3, all)")
    peers.fails("peer2", UnavailableError("refused", code="CONNECTION_FAILED"))
    for _ in range(4):
        collected = await peers.collect()
        assert set(collected.peers) == {"peer1", "peer3", "peer4"}
    # It failed once, and was left out from then on.
    assert peers.asked.count("peer2") == 1
    assert "peer2" in peers.health.status()
    await peers.health.close()


async def test_peer_that_answers_a_probe_is_asked_again() -> None:
    peers = Peers(3, "OutOf(2, all)")
    peers.fails("peer2", UnavailableError("refused"))
    peers.fails("peer3", UnavailableError("refused"))
    with pytest.raises(EndorsersUnavailable):
        await peers.collect()
    peers.behaviours.clear()
    peers.probe_error = None
    await until(lambda: not peers.health.status())
    await peers.collect()
    await peers.health.close()
    assert set(peers.probed) == {"peer2", "peer3"}


async def test_policy_that_cannot_be_met_tells_every_peers_reason() -> None:
    peers = Peers(3, "OutOf(3, all)")
    peers.fails("peer3", UnavailableError("connection refused", code="CONNECTION_FAILED"))
    with pytest.raises(EndorsersUnavailable) as caught:
        await peers.collect()
    await peers.health.close()
    reasons = caught.value.details["peers"]
    assert reasons["peer3"] == "CONNECTION_FAILED: connection refused"
    assert reasons["peer1"] == "endorsed"
    assert caught.value.status == 503
    assert caught.value.details["tx_id"] == peers.signed.proposal.tx_id


async def test_slow_peer_is_hedged_and_let_go() -> None:
    peers = Peers(3, "OutOf(2, all)", hedge_after_s=0.02, timeout_s=1.0)
    peers.probe_error = None
    peers.hangs("peer2")
    peers.hangs("peer3")
    task = asyncio.create_task(peers.collect())
    await until(lambda: len(peers.calls) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: set(peers.cancelled) == {"peer2", "peer3"})
    del peers.behaviours["peer3"]
    collected = await peers.collect()
    assert set(collected.peers) == {"peer1", "peer3"}
    assert peers.collector.hedges >= 1
    await peers.health.close()


async def test_slow_peer_keeps_its_time_and_one_that_is_gone_does_not() -> None:
    peers = Peers(2, "OutOf(2, all)", hedge_after_s=0.01, probe_after_s=0.1, timeout_s=2.0)
    peers.probe_error = None
    may_answer = asyncio.Event()

    async def late(_: int) -> ProposalResponse:
        await may_answer.wait()
        return peers.answer("peer2")

    peers.behaviours["peer2"] = late
    first = asyncio.create_task(peers.collect())
    await until(peers.health.status)
    second = asyncio.create_task(peers.collect())
    asyncio.get_running_loop().call_later(0.4, may_answer.set)
    for collected in await asyncio.gather(first, second):
        assert set(collected.peers) == {"peer1", "peer2"}

    peers.probe_error = UnavailableError("down")
    peers.fails("peer2", UnavailableError("refused", code="CONNECTION_FAILED"))
    with pytest.raises(EndorsersUnavailable):
        await peers.collect()
    peers.hangs("peer2")
    began = asyncio.get_running_loop().time()
    with pytest.raises(EndorsersUnavailable):
        await peers.collect()
    assert asyncio.get_running_loop().time() - began < peers.collector.limits.timeout_s
    await peers.health.close()


@pytest.mark.parametrize("hedges_left", [True, False])
async def test_who_is_found_gone_is_neither_waited_for_nor_asked(hedges_left: bool) -> None:
    peers = Peers(2, "OutOf(2, all)", hedge_after_s=0.01, timeout_s=60.0)
    peers.hangs("peer2")
    while not hedges_left and peers.collector.may_hedge():
        pass
    for _ in range(3):
        async with asyncio.timeout(5):
            with pytest.raises(EndorsersUnavailable) as caught:
                await peers.collect()
        assert caught.value.details["peers"]["peer2"] == "UNAVAILABLE: down"
    assert peers.asked.count("peer2") == 1
    del peers.behaviours["peer2"]
    peers.probe_error = None
    await until(lambda: not peers.health.status())
    assert set((await peers.collect()).peers) == {"peer1", "peer2"}
    await peers.health.close()


async def test_who_is_found_gone_is_left_at_once() -> None:
    peers = Peers(2, "OutOf(2, all)", hedge_after_s=1.0, timeout_s=60.0)
    peers.hangs("peer2")
    async with asyncio.timeout(1.9):  # the next look at who is slow would come after two seconds
        with pytest.raises(EndorsersUnavailable):
            await peers.collect()
    await peers.health.close()


async def test_hedges_are_bounded_by_a_share_of_all_collections() -> None:
    peers = Peers(3, "OutOf(2, all)", hedge_after_s=0.001, timeout_s=0.01)
    peers.hangs("peer2")
    peers.hangs("peer3")
    for _ in range(60):
        with pytest.raises(EndorsersUnavailable):
            await peers.collect()
    assert peers.collector.hedges <= 20 + 6 + 1
    await peers.health.close()


async def test_peer_that_is_gone_is_replaced_though_no_hedge_is_left() -> None:
    peers = Peers(3, "OutOf(2, all)", hedge_after_s=0.02)
    peers.hangs("peer2")
    while peers.collector.may_hedge():
        pass
    spent = peers.collector.hedges
    # Sets take turns: one of the two waits for the peer that hangs, until the probe has found out about it.
    collecting = [asyncio.create_task(peers.collect()) for _ in range(2)]
    await until(lambda: ("peer2", 0) in peers.calls)
    peers.health.slow(peers.config.peers["peer2"])
    async with asyncio.timeout(2):
        collected = await asyncio.gather(*collecting)
    assert [set(item.peers) for item in collected] == [{"peer1", "peer3"}] * 2
    assert peers.collector.hedges == spent
    await peers.health.close()


async def test_lagging_peer_is_asked_again_for_the_greatest_height() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.reads("peer1", (9, 0), height=10)
    peers.lags("peer2", 9)
    collected = await peers.collect()
    assert set(collected.peers) == {"peer1", "peer2"}
    assert peers.calls == [("peer1", 0), ("peer2", 0), ("peer2", 10)]


async def test_height_that_a_peer_did_not_know_is_seen_in_its_reads() -> None:
    # The block came between the peer's look at its height and the chaincode's snapshot.
    peers = Peers(2, "OutOf(2, all)")
    peers.reads("peer1", (9, 0), height=9)
    peers.lags("peer2", 9)
    collected = await peers.collect()
    assert set(collected.peers) == {"peer1", "peer2"}
    assert peers.calls[-1] == ("peer2", 10)


async def test_gateway_that_lags_itself_asks_itself_again() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.lags("peer1", 9)
    peers.reads("peer2", (9, 0), height=10)
    await peers.collect()
    assert peers.calls[-1] == ("peer1", 10)


async def test_chaincode_that_differs_on_equal_reads_is_told_at_once() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.reads("peer1", writes={"k": 1, "same": 0}, payload="a")
    peers.reads("peer2", writes={"k": 2, "same": 0}, payload="b")
    with pytest.raises(EndorsementMismatch) as caught:
        await peers.collect()
    assert caught.value.status == 409
    assert caught.value.details["peers"] == {
        "peer1": {"height": 10, "writes": {"k": 1}, "response": [200, "", "a"]},
        "peer2": {"height": 10, "writes": {"k": 2}, "response": [200, "", "b"]},
    }
    assert len(peers.calls) == 2


async def test_peers_that_keep_differing_end_in_a_mismatch() -> None:
    peers = Peers(2, "OutOf(2, all)", max_rounds=3)
    peers.reads("peer1", (9, 0), height=10)
    peers.reads("peer2", (5, 0), height=10)
    with pytest.raises(EndorsementMismatch) as caught:
        await peers.collect()
    assert caught.value.details["peers"]["peer2"]["reads"] == {"k": [5, 0]}
    assert len(peers.calls) == 2 + 3


async def test_other_peers_stand_in_for_one_that_stays_behind() -> None:
    peers = Peers(3, "OutOf(2, all)", max_rounds=1)
    for name in ("peer1", "peer2", "peer3"):
        peers.reads(name, (9, 0), height=10)
    turn = peers.selection.first(peers.config, "kv")[1].name
    other = {"peer2", "peer3"} - {turn}
    peers.reads("peer2" if turn == "peer3" else "peer3", (5, 0), height=6)
    collected = await peers.collect()
    assert set(collected.peers) == {"peer1", turn}
    assert set(peers.asked) == {"peer1", turn, *other}


async def test_refusal_tells_every_endorsers_message() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.refuses("peer1", "no such bus")
    peers.refuses("peer2", "no such bus")
    with pytest.raises(ChaincodeRefused) as caught:
        await peers.collect()
    assert caught.value.status == 400
    assert caught.value.message == "no such bus"
    assert caught.value.details["endorsers"] == {"peer1": "no such bus", "peer2": "no such bus"}
    assert caught.value.details["response"] == {"status": 400, "message": "no such bus"}


async def test_refusal_of_a_lagging_peer_is_asked_again() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.refuses("peer2", "no such key", height=9, until=10)
    collected = await peers.collect()
    assert set(collected.peers) == {"peer1", "peer2"}


async def test_refusal_that_stays_beside_an_endorsement_is_a_mismatch() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.refuses("peer2", "no")
    with pytest.raises(EndorsementMismatch) as caught:
        await peers.collect()
    assert caught.value.details["peers"]["peer2"]["response"] == {"status": 400, "message": "no"}
    assert caught.value.details["peers"]["peer1"]["response"] == "endorsed"


async def test_busy_peers_make_a_busy_gateway() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.fails("peer1", BusyError("full", retry_after_s=0.5))
    peers.fails("peer2", BusyError("full", retry_after_s=0.3))
    with pytest.raises(EndorsersBusy) as caught:
        await peers.collect()
    assert caught.value.status == 429
    assert caught.value.retry_after_s == 0.3
    assert peers.health.status() == {}


async def test_a_busy_peer_beside_an_endorsement_makes_a_busy_gateway() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.fails("peer2", BusyError("full", retry_after_s=0.3))
    with pytest.raises(EndorsersBusy) as caught:
        await peers.collect()
    assert caught.value.status == 429
    assert caught.value.retry_after_s == 0.3


async def test_error_that_all_give_alike_is_the_clients() -> None:
    peers = Peers(2, "OutOf(2, all)")
    for name in ("peer1", "peer2"):
        peers.fails(name, ChaincodeSequence("old", current=2))
    with pytest.raises(ChaincodeSequence) as caught:
        await peers.collect()
    assert caught.value.details["current"] == 2


async def test_transaction_that_one_peer_committed_is_a_duplicate() -> None:
    peers = Peers(3, "OutOf(2, all)")
    peers.fails("peer1", DuplicateTransaction("it is in block 7", block=7))
    with pytest.raises(DuplicateTransaction) as caught:
        await peers.collect()
    assert caught.value.details["block"] == 7
    assert peers.health.status() == {}


async def test_peer_without_the_chaincode_is_left_out_for_it_alone() -> None:
    # No time plays a part: the mark outlasts the test on any machine, and nobody is asked because others are slow.
    peers = Peers(3, "OutOf(2, all)", own="peer9", probe_after_s=60.0, hedge_after_s=5.0, timeout_s=5.0)
    peers.fails("peer1", UnavailableError("not here", code="CHAINCODE_NOT_INSTALLED"))
    for _ in range(3):
        collected = await peers.collect()
        assert set(collected.peers) == {"peer2", "peer3"}
    assert peers.asked.count("peer1") <= 1
    assert peers.health.rank("peer1", "other") == 0


async def test_nobody_to_ask() -> None:
    peers = Peers(2, "AND('Org1MSP.peer', 'Org1MSP.peer')")
    with pytest.raises(EndorsersUnavailable):
        await peers.collect()
    assert peers.calls == []


async def test_deadline_is_kept() -> None:
    peers = Peers(2, "OutOf(2, all)", timeout_s=0.05)
    peers.probe_error = None
    peers.hangs("peer2")
    with pytest.raises(EndorsersUnavailable) as caught:
        await peers.collect()
    assert caught.value.details["peers"]["peer2"].startswith("TIMEOUT")
    await peers.health.close()


async def test_collections_at_once_are_bounded() -> None:
    peers = Peers(2, "OutOf(2, all)", max_concurrent=2, hedge_after_s=5.0, timeout_s=5.0)
    peers.hangs("peer2")
    running = [asyncio.create_task(peers.collect()) for _ in range(2)]
    await until(lambda: len(peers.calls) == 4)
    with pytest.raises(EndorsersBusy) as caught:
        await peers.collect()
    assert caught.value.retry_after_s > 0
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert peers.collector.active == 0
    await until(lambda: set(peers.cancelled) == {"peer2"})


async def test_proposals_together_go_to_one_set_of_peers() -> None:
    peers = Peers(3, "OutOf(2, all)", hedge_after_s=1.0)
    outcomes = await peers.collect_many(10)
    assert all(isinstance(outcome, EndorsedResult) and len(outcome.peers) == 2 for outcome in outcomes)
    assert len(peers.calls) == 20
    assert len(set(peers.asked)) == 2
    assert peers.collector.active == 0


async def test_proposals_together_get_each_its_own_outcome() -> None:
    # The one that hangs waits for all of it; the others must be done by then on a crowded machine, too.
    peers = Peers(2, "OutOf(2, all)", hedge_after_s=0.05, timeout_s=1.0)
    turn = iter(range(100))

    async def mixed(_: int) -> ProposalResponse:
        number = next(turn)
        if number == 1:  # as from a peer that lags: it is asked again
            raise ChaincodeRefused("no", response={"status": 400, "message": "no"}, height=10)
        if number == 2:
            raise DuplicateTransaction("it is in block 7", block=7)
        if number == 3:
            return peers.answer("peer2", payload="otherwise")
        if number == 4:
            await asyncio.Event().wait()
        return peers.answer("peer2")

    peers.behaviours["peer2"] = mixed
    outcomes = await peers.collect_many(6)
    found = [getattr(outcome, "code", "endorsed") for outcome in outcomes]
    assert found == [
        "endorsed",
        "endorsed",
        "DUPLICATE_TXID",
        "ENDORSEMENT_MISMATCH",
        "ENDORSERS_UNAVAILABLE",
        "endorsed",
    ]
    assert peers.collector.active == 0
    await peers.health.close()


async def test_only_peers_of_the_organisations_named_endorse() -> None:
    peers = Peers(4, "OutOf(2, all)")
    for _ in range(4):
        assert set((await peers.collect("Org2MSP", "Org4MSP")).peers) == {"peer2", "peer4"}
    assert set(peers.asked) == {"peer2", "peer4"}
    # Those who name none are served as before.
    assert "peer1" in (await peers.collect()).peers


async def test_no_other_stands_in_for_an_organisation_named() -> None:
    peers = Peers(4, "OutOf(2, all)")
    peers.fails("peer4", UnavailableError("down"))
    assert set((await peers.collect("Org2MSP", "Org3MSP", "Org4MSP")).peers) == {"peer2", "peer3"}
    with pytest.raises(EndorsersUnavailable) as caught:
        await peers.collect("Org2MSP", "Org4MSP")
    assert caught.value.details["peers"]["peer1"] == "not asked: its organisation is not among those named"
    assert set(peers.asked) <= {"peer2", "peer3", "peer4"}
    await peers.health.close()


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (("Org2MSP",), r"OutOf\(2, all\) of kv cannot be met by Org2MSP alone"),
        (("Org9MSP", "Org2MSP"), "Org9MSP: no such organisation has a peer on shard1; these have: Org1MSP, Org2MSP"),
        (("OrdererMSP",), "OrdererMSP: no such organisation has a peer"),
    ],
)
async def test_organisations_that_cannot_endorse_are_told(named: tuple[str, ...], said: str) -> None:
    peers = Peers(3, "OutOf(2, all)")
    with pytest.raises(EndorsingOrganisationsRefused, match=said):
        await peers.collect(*named)
    assert peers.asked == []
