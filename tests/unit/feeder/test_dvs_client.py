"""The client of the contract: who calls, on which channel, what is repeated and what is not."""

from __future__ import annotations

import pytest

from gridledger.client import CommitError, EndorseError
from gridledger.errors import BusyError, GridLedgerError, NotFoundError, TimeoutExceeded, UnavailableError
from gridledger.protocol.codes import TxValidationCode
from services.feeder.ledger_port import is_refusal, may_pass
from tests.support.dvs_world import FakeClock, Life, World, conflict, dvs_client
from tests.support.feeder_world import SHARDED
from tests.support.solved_grid import base_state, planner

ATTEMPTS = 8


def refusal() -> EndorseError:
    """The SDK's error where the contract refuses."""
    return EndorseError("tx", GridLedgerError("no", code="CHAINCODE_REFUSED", status=400))


@pytest.mark.parametrize(
    "error",
    [
        conflict(),
        CommitError("tx", TxValidationCode.PHANTOM_READ_CONFLICT, 1),
        EndorseError("tx", GridLedgerError("peers differ", code="ENDORSEMENT_MISMATCH", status=409)),
        EndorseError("tx", GridLedgerError("none answers", code="ENDORSERS_UNAVAILABLE", status=503)),
        BusyError("full"),
        UnavailableError("away"),
        TimeoutExceeded("late"),
    ],
    ids=lambda error: error.code,
)
def test_these_failures_may_pass(error: GridLedgerError) -> None:
    assert may_pass(error)
    assert not is_refusal(error)


@pytest.mark.parametrize(
    "error", [refusal(), CommitError("tx", TxValidationCode.ENDORSEMENT_POLICY_FAILURE, 1), NotFoundError("no peer")]
)
def test_these_failures_do_not_pass(error: GridLedgerError) -> None:
    assert not may_pass(error)
    assert is_refusal(error) == (error.code == "CHAINCODE_REFUSED")


async def test_an_operation_is_repeated_until_it_succeeds() -> None:
    world, clock = World(SHARDED), FakeClock()
    life = Life(faults={"InitialGrouping": [conflict() for _ in range(ATTEMPTS - 1)]})
    begun = clock.us
    await dvs_client(world, life, clock).submit_record("shard1", planner("corrected").record("1", base_state()))
    assert world.log == [("shard1", "InitialGrouping", {"group": "1"})]
    # Half to all of 0.05 s, doubled seven times up to 2 s.
    assert 2.57e6 <= clock.us - begun <= 5.15e6


async def test_an_operation_is_given_up_after_eight_attempts() -> None:
    life = Life(faults={"InitialGrouping": [UnavailableError("away") for _ in range(ATTEMPTS + 1)]})
    with pytest.raises(UnavailableError):
        await dvs_client(World(SHARDED), life).submit_record("shard1", planner("corrected").record("1", base_state()))
    assert len(life.faults["InitialGrouping"]) == 1


async def test_a_refusal_is_not_repeated() -> None:
    clock = FakeClock()
    begun = clock.us
    with pytest.raises(EndorseError, match="group"):
        await dvs_client(World(SHARDED), clock=clock).query("1", "GetResources")
    assert clock.us == begun


async def test_a_frame_is_sent_once() -> None:
    life = Life(faults={"ComputeVSI": [conflict(), conflict()]})
    with pytest.raises(CommitError):
        await dvs_client(World(SHARDED), life).compute_vsi("1", {})
    assert len(life.faults["ComputeVSI"]) == 1


async def test_a_merged_group_is_called_by_its_first_component() -> None:
    """The contract refuses group 2's aggregator where the argument names group 1's list."""
    world = World(SHARDED)
    dvs = dvs_client(world)
    for name in ("1", "2", "1_2"):
        await dvs.submit_record("mainchain", planner("corrected").record(name, base_state()))
    assert (await dvs.submit_on_main("1_2", "UpdateResources", group="1", vvc={}))["actions"] == 0
    with pytest.raises(EndorseError, match=r"grid\.group"):
        await dvs.submit_on_main("2_3", "UpdateResources", group="1", vvc={})
    with pytest.raises(NotFoundError, match="group 4"):
        await dvs.query("4", "GetResources")
