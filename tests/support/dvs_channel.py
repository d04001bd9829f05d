"""The contract ``dvs`` on one channel's state in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.contract import ClientIdentity
from gridledger.contract.context import EVERY_ATTRIBUTE
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState

DVS = Path(__file__).parents[2] / "chaincode" / "dvs"
EXAMPLES = Path(__file__).parents[1] / "acceptance" / "data" / "examples"
TIME_US = 1_767_225_600_000_000


def example(name: str) -> Any:
    """One file of the specification's examples."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())


@cache
def chaincode() -> Chaincode:
    """The contract, imported once."""
    return load(DVS)


class DvsChannel:
    """The contract on one channel. ``last`` is the latest answer."""

    def __init__(self, state: MemoryState | None = None) -> None:
        self.state = MemoryState() if state is None else state
        self._simulator = Simulator(chaincode(), self.state)
        self.last: Invocation | None = None

    def stored(self, key: str) -> Any:
        """A value of the world state, None where there is none."""
        found = self.state.get("", key)
        return None if found is None else jsontext.loads_trusted(found.value)

    def ask(self, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> Invocation:
        """Whatever the contract answers."""
        self.last = self._simulator.invoke(function, argument, caller=caller, time_us=TIME_US)
        return self.last

    def preview(self, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> Invocation:
        """What the contract would answer; what it would write is kept nowhere."""
        return self._simulator.evaluate(function, argument, caller=caller, time_us=TIME_US)

    def call(self, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> Any:
        """The payload; fails the test where the contract refuses."""
        answer = self.ask(function, argument, caller)
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    def refused(self, function: str, argument: Any, *names: str, caller: ClientIdentity = EVERY_ATTRIBUTE) -> str:
        """The message of a refusal, which must contain ``names``; fails the test unless nothing was written."""
        before = self.state.to_bytes()
        answer = self.ask(function, argument, caller)
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, answer.payload) == ({}, None, None)
        assert self.state.to_bytes() == before
        for name in names:
            assert name in answer.message, answer.message
        return answer.message

    def unchanged(self, function: str, argument: Any) -> Any:
        """The payload of a repeated operation; fails the test unless nothing was written and no event sent."""
        payload = self.call(function, argument)
        assert self.last is not None
        assert (self.last.writes, self.last.event) == ({}, None)
        return payload

    def vvc(self, group: str) -> dict[str, float]:
        """The list of a group as GetResources answers it."""
        vvc: dict[str, float] = self.call("GetResources", {"group": group})["vvc"]
        return vvc


def full_list(loads: Iterable[int], amount: float = 1.5, **others: float) -> dict[str, float]:
    """A VVC list: ``amount`` p.u. at every load bus, except where ``bus_N`` says otherwise."""
    return dict.fromkeys(map(str, loads), amount) | {name.removeprefix("bus_"): q for name, q in others.items()}
