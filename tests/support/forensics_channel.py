"""The contracts of forensics, each on one channel's state in memory, and who calls them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result
from tests.support.vault_channel import certificate, certificate_sha256

CHAINCODES = Path(__file__).parents[2] / "chaincode"
S = 1_000_000
START_US = 1_796_000_000 * S
_NONCES = count(1)


def client(mspid: str, name: str, key: int, role: str | None = None) -> ClientIdentity:
    """A caller with ``forensics.role``, if it has one."""
    attributes = {} if role is None else {"forensics.role": role}
    return ClientIdentity(f"x509::/CN={name}::/CN=ca", mspid, "client", attributes, certificate(name, key))


def identity(caller: ClientIdentity) -> dict[str, str]:
    """How the ledger names a caller."""
    return {"mspid": caller.mspid, "id": caller.id, "certificate": certificate_sha256(caller)}


@cache
def chaincode(name: str) -> Chaincode:
    """A contract, imported once."""
    return load(CHAINCODES / name)


class ContractChannel:
    """A contract on one channel. ``last`` is the latest answer; ``now_us`` the time of proposals that name none."""

    def __init__(self, name: str, anyone: ClientIdentity) -> None:
        """``anyone`` calls where a call names nobody."""
        self.state = MemoryState()
        self._chaincode = chaincode(name)
        self._simulator = Simulator(self._chaincode, self.state)
        self._anyone = anyone
        self.last: Invocation | None = None
        self.now_us = START_US

    def ask(
        self, function: str, argument: Any, caller: ClientIdentity | None = None, time_us: int | None = None
    ) -> Invocation:
        """Whatever the contract answers. Each call is a microsecond later, and so has another transaction id."""
        self.now_us += 1
        time_us = time_us or self.now_us
        self.last = self._simulator.invoke(function, argument, caller=caller or self._anyone, time_us=time_us)
        return self.last

    def call(
        self, function: str, argument: Any, caller: ClientIdentity | None = None, time_us: int | None = None
    ) -> Any:
        """The payload; fails the test where the contract refuses."""
        answer = self.ask(function, argument, caller, time_us)
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    def refused(self, function: str, argument: Any, caller: ClientIdentity | None = None) -> str:
        """The message of a refusal; fails the test unless nothing was written."""
        before = self.state.to_bytes()
        answer = self.ask(function, argument, caller)
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, answer.payload) == ({}, None, None)
        assert self.state.to_bytes() == before
        return answer.message

    def event(self) -> tuple[str, Any]:
        """Name and payload of the last call's event."""
        assert self.last is not None
        assert self.last.event is not None
        return self.last.event["name"], self.last.event["payload"]

    def written_by(self, prefix: str) -> str:
        """The transaction that wrote the one key that begins so."""
        (key,) = (key for key in json.loads(self.state.to_bytes())["state"] if key.startswith(prefix))
        return next(self.state.history("", key)).tx_id

    def pages(self, function: str, argument: dict[str, Any]) -> list[Any]:
        """The items of all pages."""
        items: list[Any] = []
        bookmark = None
        while True:
            page = self.call(function, argument if bookmark is None else argument | {"bookmark": bookmark})
            items += page["items"]
            bookmark = page["bookmark"]
            if bookmark is None:
                return items

    def endorsed(self, *calls: tuple[str, Any, ClientIdentity]) -> list[Result]:
        """All calls, endorsed on one and the same state."""
        results = [self._endorse(*call) for call in calls]
        assert all(result.response.status == 200 for result in results), [each.response.message for each in results]
        return results

    def ordered(self, results: Sequence[Result]) -> list[bool]:
        """Whether each is valid, one after the other in one block: what it has read is as it was."""
        valid = []
        for result in results:
            assert not result.ranges
            valid.append(all(self._version(key) == version for key, version in result.reads))
            if valid[-1]:
                self.state.commit(result, self.now_us)
        return valid

    def _endorse(self, function: str, argument: Any, caller: ClientIdentity) -> Result:
        self.now_us += 1
        proposal = Proposal.build(
            channel="simulate",
            chaincode="simulate",
            sequence=1,
            function=function,
            args=(argument,),
            creator="simulate",
            nonce=sha256(str(next(_NONCES)).encode()).hexdigest(),
            time_us=self.now_us,
            transient=None,
        )
        return execute(self._chaincode, proposal, caller, self.state)

    def _version(self, key: str) -> Any:
        found = self.state.get("", key)
        return None if found is None else found.version
