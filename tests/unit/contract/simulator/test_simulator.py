"""The simulator as a test of a chaincode uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.contract.simulator.simulator import Simulator

METER = """
from gridledger.contract import Context, Contract, ContractError, transaction


class Meter(Contract):
    @transaction
    def add(self, ctx: Context, kwh: float) -> float:
        if kwh < 0:
            raise ContractError("energy is not taken back")
        total = (ctx.stub.get_state("total") or 0.0) + kwh
        ctx.stub.put_state("total", total)
        return total
"""


@pytest.fixture
def meter(tmp_path: Path) -> Simulator:
    (tmp_path / "contract.py").write_text(METER)
    return Simulator(tmp_path)


def test_what_is_invoked_is_kept(meter: Simulator) -> None:
    assert [meter.invoke("add", kwh).payload for kwh in (1.5, 2.0)] == [1.5, 3.5]
    assert meter.state.height == 3


def test_what_is_evaluated_is_kept_nowhere(meter: Simulator) -> None:
    meter.invoke("add", 1.5)
    before = meter.state.to_bytes()
    told = meter.evaluate("add", 2.0)
    assert (told.payload, told.writes) == (3.5, {"total": 3.5})
    assert meter.state.to_bytes() == before
    assert meter.evaluate("add", -1.0).status == 400
    assert meter.invoke("add", 2.0).payload == told.payload
