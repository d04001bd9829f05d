"""What a contract learns of its caller."""

from __future__ import annotations

from functools import partial
from typing import Any

from gridledger.contract import ClientIdentity, Context
from gridledger.contract.simulator.state import MemoryState
from tests.unit.contract.in_memory import run


def demand(name: str, value: str, ctx: Context) -> None:
    ctx.client_identity.assert_attribute_value(name, value)


def test_attributes_of_the_caller() -> None:
    caller = ClientIdentity("x509::CN=a::CN=ca", "Org1MSP", attributes={"grid.role": "planner"})

    def body(ctx: Context) -> Any:
        me = ctx.client_identity
        me.assert_attribute_value("grid.role", "planner")
        return [me.get_id(), me.get_mspid(), me.get_attribute_value("grid.role"), me.get_attribute_value("none")]

    assert run(MemoryState(), body, caller=caller).payload == ["x509::CN=a::CN=ca", "Org1MSP", "planner", None]
    for name, value in (("grid.role", "aggregator"), ("grid.group", "1")):
        answer = run(MemoryState(), partial(demand, name, value), caller=caller)
        assert answer.status == 400
        assert name in answer.message


def test_the_simulated_caller_has_every_attribute() -> None:
    def body(ctx: Context) -> Any:
        me = ctx.client_identity
        me.assert_attribute_value("grid.role", "planner")
        value = me.get_attribute_value("grid.group")
        return [value == "1", value != "1", value in ("2", "3"), value in ["4"], value is not None]

    assert run(MemoryState(), body).payload == [True, False, True, True, True]
